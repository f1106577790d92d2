import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';

/** Details of a certificate that may be shown. */
export interface CertificateDetails {
  /** DNS names and IP addresses of the subject alternative name, in lower case; without one, the common name. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The issuer's common name; without one, its full name. */
  readonly issuer: string;
  /** `rsa`, `ec`, `ed25519`, … */
  readonly keyType: string;
}

/** Longest certificate chain and longest key accepted, in characters. */
const pemCharsMax = 256 * 1024;
const certificateBlock = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END (?:TRUSTED )?CERTIFICATE-----/;

/**
 * Checks a PEM certificate, leaf first, followed by its chain, and that `key` belongs to the leaf.
 * @throws HipacheError CERTIFICATE_INVALID, which says what is wrong but never shows any part of the key.
 */
export function checkCertificate(certificate: string, key: string, passphrase?: string): CertificateDetails {
  const leaf = parseChain(certificate);
  const privateKey = parseKey(key, passphrase);
  if (!leaf.checkPrivateKey(privateKey)) {
    throw invalid(
      'the key does not belong to the certificate; the first certificate in the file must be the one for the key',
    );
  }
  refuseWhatOpenSslDoes(certificate, key, passphrase);
  return detailsOf(leaf);
}

/** Details of a PEM certificate whose key cannot be looked at. @throws HipacheError CERTIFICATE_INVALID. */
export function describeCertificate(certificate: string): CertificateDetails {
  return detailsOf(parseChain(certificate));
}

/**
 * When the first certificate of a PEM text that OpenSSL has accepted expires, epoch ms. It reads the text itself:
 * `X509Certificate` would leave 8 KB behind, of which the garbage collector knows nothing.
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function notAfterMsOf(certificate: string): number {
  checkLength(certificate);
  const [block] = certificateBlock.exec(certificate) ?? [];
  if (block === undefined) throw notPem();
  return (
    readNotAfterMs(Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64')) ??
    Date.parse(new X509Certificate(block).validTo)
  );
}

/**
 * Whether a certificate with these names serves a host pattern: by its exact name, or by a wildcard of the same level
 * (RFC 6125 section 6.4.3). `*.domain` needs exactly that name; `*` accepts any certificate.
 */
export function coversPattern(names: readonly string[], pattern: string): boolean {
  if (pattern === '*') return names.length > 0;
  if (names.includes(pattern)) return true;
  const dot = pattern.indexOf('.');
  return !pattern.startsWith('*') && dot > 0 && names.includes(`*${pattern.slice(dot)}`);
}

/** Whether a PEM key needs a passphrase. */
export function isEncrypted(key: string): boolean {
  return key.includes('ENCRYPTED');
}

function parseChain(certificate: string): X509Certificate {
  checkLength(certificate);
  const blocks = certificate.match(new RegExp(certificateBlock, 'g'));
  if (blocks === null) throw notPem();
  const chain = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw invalid(`certificate ${index + 1} of the chain does not parse`, cause);
    }
  });
  return chain[0] as X509Certificate;
}

/** The end of the validity in a certificate (RFC 5280 section 4.1); null if it is not written as DER. */
function readNotAfterMs(der: Buffer): number | null {
  const body = element(der, element(der, 0).start);
  let at = body.start;
  // The version is optional; serial number, algorithm and issuer follow.
  for (let skipped = der[at] === 0xa0 ? 4 : 3; skipped > 0; skipped--) at = element(der, at).end;
  const notAfter = element(der, element(der, element(der, at).start).end);
  const text = der.latin1Slice(notAfter.start, notAfter.end);
  const match = /^(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return null;
  const [, century, year, ...rest] = match;
  const [month = 0, day, hours, minutes, seconds] = rest.map(Number);
  const fullYear = Number((century ?? (Number(year) < 50 ? '20' : '19')) + year);
  return Date.UTC(fullYear, month - 1, day, hours, minutes, seconds);
}

/** Where the content of an element of DER begins and ends. */
function element(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  let length = lengthBytes === 0 ? first : 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  const start = at + 2 + lengthBytes;
  return { start, end: start + length };
}

function checkLength(certificate: string): void {
  if (certificate.length > pemCharsMax) throw invalid(`the certificate is longer than ${pemCharsMax} characters`);
}

function detailsOf(leaf: X509Certificate): CertificateDetails {
  return {
    names: namesOf(leaf),
    notBeforeMs: Date.parse(leaf.validFrom),
    notAfterMs: Date.parse(leaf.validTo),
    issuer: /^CN=(.+)$/m.exec(leaf.issuer)?.[1] ?? leaf.issuer.replaceAll('\n', ', '),
    keyType: leaf.publicKey.asymmetricKeyType ?? 'unknown',
  };
}

function parseKey(key: string, passphrase: string | undefined): KeyObject {
  if (key.length > pemCharsMax) throw invalid(`the key is longer than ${pemCharsMax} characters`);
  if (!key.includes('PRIVATE KEY-----')) throw invalid('the key has no "-----BEGIN … PRIVATE KEY-----": it is not PEM');
  if (isEncrypted(key) && passphrase === undefined) {
    throw invalid('the key is encrypted and has no passphrase; decrypt it with "openssl pkey"');
  }
  try {
    return createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    throw invalid(isEncrypted(key) ? 'the passphrase does not decrypt the key' : 'the key does not parse', cause);
  }
}

/** A well-formed certificate may still be too weak: a key of 1024 bits, a SHA-1 signature. */
function refuseWhatOpenSslDoes(cert: string, key: string, passphrase: string | undefined): void {
  try {
    createSecureContext({ cert, key, ca: [], ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    throw invalid(`OpenSSL refuses it: ${(cause as Error).message}`, cause);
  }
}

function namesOf(leaf: X509Certificate): readonly string[] {
  const alternatives = (leaf.subjectAltName ?? '')
    .split(', ')
    .flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1]?.toLowerCase() ?? []);
  if (alternatives.length > 0) return alternatives;
  const commonName = /^CN=(.+)$/m.exec(leaf.subject)?.[1];
  return commonName === undefined ? [] : [commonName.toLowerCase()];
}

function notPem(): HipacheError {
  return invalid('the certificate has no "-----BEGIN CERTIFICATE-----": it is not PEM');
}

function invalid(problem: string, cause?: unknown): HipacheError {
  return new HipacheError('CERTIFICATE_INVALID', problem, { cause });
}
