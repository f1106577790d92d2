import { printable } from '../base/printable.ts';
import type { CertificateStanding } from '../operations/certificate-standing.ts';
import {
  type ListedCertificate,
  type RemovedCertificate,
  type ShownCertificate,
  shownNames,
  type WrittenCertificate,
} from '../operations/certificates.ts';
import type { RevokedCertificate } from '../operations/revoke-certificate.ts';
import type { WaitingOrder } from '../operations/waiting-orders.ts';
import { alignColumns, type Output, type Report } from './output.ts';
import { whenText } from './when.ts';

/**
 * Writes certificates as aligned lines, or one JSON object per line, never with a key. Stops early once the reader has
 * gone.
 */
export async function writeCertificates(
  pages: AsyncIterable<readonly ListedCertificate[]>,
  output: Output,
  asJson: boolean,
): Promise<void> {
  for await (const rows of pages) {
    await output.write(
      asJson ? rows.map((row) => `${JSON.stringify(row)}\n`).join('') : alignColumns(rows.map(toLine)),
    );
    if (output.closed) return;
  }
}

/** Writes orders as aligned lines, or one JSON object per line. */
export async function writeOrders(orders: readonly WaitingOrder[], output: Output, asJson: boolean): Promise<void> {
  const line = ({ detail, failures, nextAt, pattern, state }: WaitingOrder): string[] => [
    printable(pattern),
    failures > 1 ? `${state}, ${failures} in a row` : state,
    nextAt === null ? 'now' : `again at ${nextAt}`,
    printable(detail ?? ''),
  ];
  await output.write(
    asJson ? orders.map((order) => `${JSON.stringify(order)}\n`).join('') : alignColumns(orders.map(line)),
  );
}

/** @param asPem whether the text is the certificate itself. @param nowMs epoch ms. */
export function shownCertificateReport(shown: ShownCertificate, asPem: boolean, nowMs: number): Report {
  if (asPem) return { text: `${shown.pem.trimEnd()}\n`, json: shown };
  const { chain, fingerprint, isKeyEncrypted, issuer, keyType, names, notAfter, notBefore, pattern, problem, serial } =
    shown;
  if (problem !== null)
    return { text: `${pattern}: its certificate cannot be used: ${printable(problem)}\n`, json: shown };
  const end = notAfter === null ? '' : whenText(notAfter, Date.parse(notAfter) - nowMs);
  const rows = [
    ['certificate of', pattern],
    ['names', shownNames(names)],
    ['issuer', printable(issuer ?? '')],
    ['valid', `from ${notBefore} until ${end}`],
    ['key', `${keyType}, ${isKeyEncrypted ? 'encrypted' : 'in clear'} in the store`],
    ['serial', serial ?? ''],
    ['SHA-256', fingerprint ?? ''],
    ...chain.map((subject, i) => [i === 0 ? 'chain' : '', printable(subject)]),
  ];
  return { text: alignColumns(rows), json: shown };
}

export function writtenCertificateReport({ warnings: _, ...written }: WrittenCertificate): Report {
  const { pattern, action, names, notAfter } = written;
  return {
    text: `${pattern}: certificate ${action}, for ${shownNames(names)}, until ${notAfter}\n`,
    json: written,
  };
}

export function removedCertificateReport(removed: RemovedCertificate): Report {
  return { text: `${removed.pattern}: certificate removed\n`, json: removed };
}

export function revokedCertificateReport(revoked: RevokedCertificate): Report {
  const { authority, isReplaced, pattern, serial } = revoked;
  const next = isReplaced ? 'another one is ordered' : `"hipache cert order ${pattern}" orders another one`;
  return { text: `${pattern}: certificate ${serial} revoked by ${authority}; ${next}\n`, json: revoked };
}

function toLine(row: ListedCertificate): string[] {
  if (row.problem !== null) return [printable(row.pattern), `cannot be used: ${printable(row.problem)}`];
  return [printable(row.pattern), `until ${row.notAfter}`, `by ${printable(row.issuer ?? '')}`, shownNames(row.names)];
}

/** @param nowMs epoch ms. */
export function certificateStandingReport(standing: CertificateStanding, nowMs: number): Report {
  return { text: `${standingLines(standing, nowMs).map(printable).join('\n')}\n`, json: standing };
}

function standingLines(standing: CertificateStanding, nowMs: number): string[] {
  const { certificate, coveredBy, failure, order, orders, pattern, renewal } = standing;
  const when = (time: string): string => whenText(time, Date.parse(time) - nowMs);
  const lines = [certificateLine(standing, when)];
  if (certificate === null && coveredBy !== null) lines.push(`served: the certificate of ${coveredBy}`);
  if (renewal !== null) {
    const by = renewal.window === null ? 'two thirds of its life' : `the authority suggests ${renewal.window}`;
    lines.push(`renewal: ${when(renewal.at)}; ${by}`);
    if (renewal.explanation !== null) lines.push(`  the authority explains: ${renewal.explanation}`);
  }
  if (order !== null) lines.push(`order under way: ${order.url}, since ${order.since}`);
  if (failure !== null) {
    const of = failure.count === 0 ? 'waits' : `failed, ${failure.count} in a row`;
    const what = failure.type === 'checkFailed' ? 'check before an order' : 'last order';
    lines.push(`${what}: ${of}: ${failure.detail}`, `next attempt: ${when(failure.nextAt)}`);
  }
  for (const { name, value } of standing.records) lines.push(`standing DNS record: ${name} TXT "${value}"`);
  lines.push(orderingLine(standing));
  if (orders > 0) lines.push(`orders of ${pattern} so far: ${orders}`);
  return lines;
}

function certificateLine(
  { authority, certificate, pattern }: CertificateStanding,
  when: (time: string) => string,
): string {
  if (certificate === null) return `${pattern}: no certificate of its own in the store`;
  if (certificate.problem !== null) return `${pattern}: its certificate cannot be used: ${certificate.problem}`;
  const from = authority === null ? 'put into the store by somebody' : `ordered from ${authority}`;
  return `${pattern}: certificate until ${when(certificate.notAfter ?? '')}, by ${certificate.issuer}, ${from}`;
}

/** Whether certificates are ordered for the host, and if not, why. */
function orderingLine({ isOrdering, isWanted, notOrderable, orderedAs, pattern }: CertificateStanding): string {
  if (notOrderable !== null) return `orders: none: no authority issues for ${pattern}, because ${notOrderable}`;
  if (!isWanted) return 'orders: none: the host has no route, or its option tls is not auto';
  if (orderedAs !== null) return `orders: none: the host uses the certificate of ${orderedAs}`;
  if (!isOrdering) return 'orders: none by this configuration: acme.directory names no authority';
  return 'orders: by any instance, as they are due';
}
