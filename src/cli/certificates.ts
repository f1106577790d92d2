import { printable } from '../base/printable.ts';
import {
  type ListedCertificate,
  type RemovedCertificate,
  shownNames,
  type WrittenCertificate,
} from '../operations/certificates.ts';
import { alignColumns, type Output, type Report } from './output.ts';

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

function toLine(row: ListedCertificate): string[] {
  if (row.problem !== null) return [printable(row.pattern), `cannot be used: ${printable(row.problem)}`];
  return [printable(row.pattern), `until ${row.notAfter}`, `by ${printable(row.issuer ?? '')}`, shownNames(row.names)];
}
