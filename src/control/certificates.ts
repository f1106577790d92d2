import { readFile, stat } from 'node:fs/promises';
import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { parsePattern } from '../routing/host.ts';
import type { CertificateReader, CertificateWriter, StoredCertificate } from '../stores/contract.ts';
import { type CertificateDetails, checkCertificate, coversPattern } from '../tls/certificate.ts';
import { alignColumns, type Output } from './output.ts';
import type { Report } from './routes.ts';

/** The certificates of a store, as the commands read and write them. */
type Certificates = CertificateReader & CertificateWriter;

/** What a command has done, and what its user should know of it besides. */
interface CertificateReport extends Report {
  /** For the standard error; nothing is refused for them. */
  readonly warnings: readonly string[];
}

/** A command whose arguments have been checked: what is left to do with the store. */
export type CertificateTask = (certificates: Certificates) => Promise<CertificateReport>;

const pageSize = 100;
/** A certificate with its chain, or a key, in a file. */
const fileBytesMax = 256 * 1024;

interface Row {
  readonly pattern: string;
  readonly names: readonly string[];
  /** ISO 8601, UTC; null where the record cannot be used. */
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  readonly issuer: string | null;
  readonly keyType: string | null;
  readonly problem: string | null;
}

/** Writes what is known of every certificate: aligned lines, or one JSON object a line. Never a key. */
export async function listCertificates(store: Certificates, output: Output, asJson: boolean): Promise<void> {
  let after = '';
  while (!output.closed) {
    const page = await store.listCertificates(after, pageSize);
    const last = page.at(-1);
    if (last === undefined) return;
    const records = await store.readCertificates(page);
    const rows = page.flatMap((pattern, i) => {
      const record = records[i];
      return record === null || record === undefined ? [] : [toRow(pattern, record)];
    });
    await output.write(
      asJson ? rows.map((row) => `${JSON.stringify(row)}\n`).join('') : alignColumns(rows.map(toLine)),
    );
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
): CertificateTask {
  const pattern = parsePattern(host);
  return async (store) => {
    const certificate = await readPem('--cert', files.cert);
    const key = await readPem('--key', files.key);
    const details = checkFiles(files, certificate, key);
    const [before] = await store.readCertificates([pattern]);
    await store.setCertificate(pattern, { certificate, key });
    const action = before === null || before === undefined ? 'created' : 'replaced';
    const row = toDetails(details);
    return {
      text: `${pattern}: certificate ${action}, for ${shown(row.names)}, until ${row.notAfter}\n`,
      json: { pattern, action, ...row },
      warnings: warningsOf(pattern, details, now()),
    };
  };
}

/** @throws HipacheError COMMAND_INVALID; NOT_FOUND where there is none. */
export function removeCertificate(host: string): CertificateTask {
  const pattern = parsePattern(host);
  return async (store) => {
    if (!(await store.removeCertificate(pattern))) {
      throw new HipacheError(
        'NOT_FOUND',
        `${pattern} has no certificate; "hipache cert list" shows those that there are`,
      );
    }
    return { text: `${pattern}: certificate removed\n`, json: { pattern, removed: true }, warnings: [] };
  };
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

function toRow(pattern: string, { certificate, key, problem }: StoredCertificate): Row {
  const nothing = { names: [], notBefore: null, notAfter: null, issuer: null, keyType: null };
  if (problem !== undefined) return { pattern, ...nothing, problem };
  try {
    return { pattern, ...toDetails(checkCertificate(certificate, key)), problem: null };
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    return { pattern, ...nothing, problem: error.message };
  }
}

function toDetails(details: CertificateDetails) {
  return {
    names: details.names,
    notBefore: new Date(details.notBeforeMs).toISOString(),
    notAfter: new Date(details.notAfterMs).toISOString(),
    issuer: details.issuer,
    keyType: details.keyType,
  };
}

function toLine(row: Row): string[] {
  if (row.problem !== null) return [printable(row.pattern), `cannot be used: ${printable(row.problem)}`];
  return [printable(row.pattern), `until ${row.notAfter}`, `by ${printable(row.issuer ?? '')}`, shown(row.names)];
}

function warningsOf(pattern: string, details: CertificateDetails, nowMs: number): string[] {
  const warnings: string[] = [];
  const { notAfter, notBefore } = toDetails(details);
  if (details.notAfterMs <= nowMs) warnings.push(`the certificate has expired on ${notAfter}`);
  if (details.notBeforeMs > nowMs) warnings.push(`the certificate is not valid before ${notBefore}`);
  if (!coversPattern(details.names, pattern)) {
    warnings.push(`the certificate is for ${shown(details.names)}, not for ${pattern}: clients will refuse it`);
  }
  return warnings;
}

function shown(names: readonly string[]): string {
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
