import { X509Certificate } from 'node:crypto';
import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { parsePattern } from '../routing/host.ts';
import type { CertificatePair, Store, StoredCertificate } from '../stores/contract.ts';
import {
  type CertificateDetails,
  checkCertificate,
  coversPattern,
  describeCertificate,
  isEncrypted,
} from '../tls/certificate.ts';
import type { Operation } from './operation.ts';
import { nextAfter, type Page } from './routes.ts';

/** The part of a store that these operations work on. */
type Certificates = Pick<Store, 'certificates'>;

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
 * Certificates of a store in code point order of their patterns.
 * @param passphrase of the keys that are encrypted; null for none; undefined: it is not known, and they are not looked at.
 */
export async function pageOfCertificates(
  { certificates }: Certificates,
  { after, limit }: Page,
  passphrase: string | null | undefined,
): Promise<{ certificates: ListedCertificate[]; next: string | null }> {
  const patterns = await certificates.list(after, limit);
  const records = await certificates.read(patterns);
  return {
    certificates: patterns.flatMap((pattern, i) => {
      const record = records[i] ?? null;
      return record === null ? [] : [toListed(pattern, record, passphrase)];
    }),
    next: nextAfter(patterns, limit),
  };
}

/**
 * Puts a certificate and its key into the store.
 * @param now epoch milliseconds.
 * @throws HipacheError COMMAND_INVALID, CERTIFICATE_INVALID.
 */
export function setCertificate(
  host: string,
  { certificate, key }: CertificatePair,
  now: () => number,
): Operation<Certificates, WrittenCertificate> {
  const pattern = parsePattern(host);
  return async ({ certificates }) => {
    const details = checkCertificate(certificate, key);
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
