import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { parsePattern } from '../routing/host.ts';
import type { Store, StoredCertificate } from '../stores/contract.ts';
import {
  type CertificateDetails,
  checkCertificate,
  coversPattern,
  describeCertificate,
  isEncrypted,
} from '../tls/certificate.ts';
import type { Operation } from './operation.ts';

/** The part of a store that these operations work on. */
type Certificates = Pick<Store, 'certificates'>;

const pageSize = 100;
/** A certificate with its chain, or a key, in a file. */
const fileBytesMax = 256 * 1024;

/** A certificate in the store as it may be shown: never its key. */
export interface ListedCertificate {
  readonly pattern: string;
  readonly names: readonly string[];
  /** ISO 8601, UTC; null where the record cannot be used. */
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  readonly issuer: string | null;
  readonly keyType: string | null;
  readonly problem: string | null;
}

/** Details of a certificate that can be used; times are ISO 8601, UTC. */
interface ShownDetails {
  readonly names: readonly string[];
  readonly notBefore: string;
  readonly notAfter: string;
  readonly issuer: string;
  readonly keyType: string;
}

export interface WrittenCertificate extends ShownDetails {
  readonly pattern: string;
  readonly action: 'created' | 'replaced';
  /** Notices for the operator; nothing is refused for them. */
  readonly warnings: readonly string[];
}

/** A certificate of the store with its chain. */
export interface ShownCertificate extends ListedCertificate {
  readonly serial: string | null;
  /** SHA-256 of the certificate, hexadecimal with colons. */
  readonly fingerprint: string | null;
  /** The subjects of the certificates that follow the leaf. */
  readonly chain: readonly string[];
  readonly isKeyEncrypted: boolean;
  /** PEM: the leaf, then its chain. */
  readonly pem: string;
}

export interface RemovedCertificate {
  readonly pattern: string;
  readonly removed: true;
}

/**
 * Every certificate of a store, page by page, in code point order of the patterns.
 * @param passphrase of the keys that are encrypted; null for none; undefined: it is not known, and they are not looked at.
 */
export async function* listCertificates(
  { certificates }: Certificates,
  passphrase: string | null | undefined,
): AsyncGenerator<readonly ListedCertificate[]> {
  let after = '';
  for (;;) {
    const page = await certificates.list(after, pageSize);
    const last = page.at(-1);
    if (last === undefined) return;
    const records = await certificates.read(page);
    yield page.flatMap((pattern, i) => {
      const record = records[i];
      return record === null || record === undefined ? [] : [toListed(pattern, record, passphrase)];
    });
    after = last;
  }
}

/**
 * Puts a certificate and its key from two files into the store.
 * @param now epoch milliseconds.
 * @throws HipacheError COMMAND_INVALID, CERTIFICATE_INVALID.
 */
export function setCertificate(
  host: string,
  files: { readonly cert: string; readonly key: string },
  now: () => number,
): Operation<Certificates, WrittenCertificate> {
  const pattern = parsePattern(host);
  return async ({ certificates }) => {
    const certificate = await readPem('--cert', files.cert);
    const key = await readPem('--key', files.key);
    const details = checkFiles(files, certificate, key);
    const [before] = await certificates.read([pattern]);
    await certificates.write(pattern, { certificate, key });
    const action = before === null || before === undefined ? 'created' : 'replaced';
    return { pattern, action, ...toDetails(details), warnings: warningsOf(pattern, details, now()) };
  };
}

/** @param passphrase as `listCertificates` takes it. @throws HipacheError COMMAND_INVALID; NOT_FOUND. */
export function showCertificate(
  host: string,
  passphrase: string | null | undefined,
): Operation<Pick<Store, 'certificates'>, ShownCertificate> {
  const pattern = parsePattern(host);
  return async ({ certificates }) => {
    const [record = null] = await certificates.read([pattern]);
    if (record === null) {
      throw new HipacheError('NOT_FOUND', `${pattern} has no certificate; "hipache cert why ${pattern}" says why`);
    }
    const listed = toListed(pattern, record, passphrase);
    const [leaf = null, ...chain] = listed.problem === null ? certificatesOf(record.certificate) : [];
    return {
      ...listed,
      serial: leaf?.serialNumber ?? null,
      fingerprint: leaf?.fingerprint256 ?? null,
      chain: chain.map(({ subject }) => subject.replaceAll('\n', ', ')),
      isKeyEncrypted: isEncrypted(record.key),
      pem: record.certificate,
    };
  };
}

/** @throws HipacheError COMMAND_INVALID; NOT_FOUND. */
export function removeCertificate(host: string): Operation<Certificates, RemovedCertificate> {
  const pattern = parsePattern(host);
  return async ({ certificates }) => {
    if (!(await certificates.remove(pattern))) {
      throw new HipacheError(
        'NOT_FOUND',
        `${pattern} has no certificate; "hipache cert list" shows those that there are`,
      );
    }
    return { pattern, removed: true };
  };
}

function certificatesOf(pem: string): X509Certificate[] {
  const all = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return all.map((one) => new X509Certificate(one));
}

function checkFiles(
  { cert, key: keyFile }: { readonly cert: string; readonly key: string },
  certificate: string,
  key: string,
): CertificateDetails {
  try {
    return checkCertificate(certificate, key);
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    throw new HipacheError(error.code, `${cert}, ${keyFile}: ${error.message}`, { cause: error });
  }
}

/** @param passphrase as `listCertificates` takes it. */
export function toListed(
  pattern: string,
  { certificate, key, problem }: StoredCertificate,
  passphrase: string | null | undefined,
): ListedCertificate {
  const nothing = { names: [], notBefore: null, notAfter: null, issuer: null, keyType: null };
  if (problem !== undefined) return { pattern, ...nothing, problem };
  try {
    const details =
      isEncrypted(key) && passphrase === undefined
        ? describeCertificate(certificate)
        : checkCertificate(certificate, key, passphrase ?? undefined);
    return { pattern, ...toDetails(details), problem: null };
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    return { pattern, ...nothing, problem: error.message };
  }
}

function toDetails(details: CertificateDetails): ShownDetails {
  return {
    names: details.names,
    notBefore: new Date(details.notBeforeMs).toISOString(),
    notAfter: new Date(details.notAfterMs).toISOString(),
    issuer: details.issuer,
    keyType: details.keyType,
  };
}

function warningsOf(pattern: string, details: CertificateDetails, nowMs: number): string[] {
  const warnings: string[] = [];
  const { notAfter, notBefore } = toDetails(details);
  if (details.notAfterMs <= nowMs) warnings.push(`the certificate has expired on ${notAfter}`);
  if (details.notBeforeMs > nowMs) warnings.push(`the certificate is not valid before ${notBefore}`);
  if (!coversPattern(details.names, pattern)) {
    warnings.push(`the certificate is for ${shownNames(details.names)}, not for ${pattern}: clients will refuse it`);
  }
  return warnings;
}

/** Names of a certificate for a message, on one line. */
export function shownNames(names: readonly string[]): string {
  return names.length === 0 ? 'no name' : names.map(printable).join(' ');
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= fileBytesMax) return await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? `there is no file ${path}` : message;
    throw new HipacheError('COMMAND_INVALID', `${option}: ${problem}`, { cause });
  }
  throw new HipacheError('COMMAND_INVALID', `${option}: ${path} is longer than ${fileBytesMax} bytes`);
}
