import { FieldLines } from '../http/field-lines.ts';
import type { Backend } from '../routing/backend.ts';
import type { Exchange } from './exchange.ts';

/**
 * Hipache's debug fields, for a trusted peer that sent `X-Debug`.
 * @param backend the one that responded, or failed last; null for none.
 * @param error text of a local reply; null for a backend's response.
 */
export function debugFields(
  exchange: Exchange,
  version: string,
  nowMs: number,
  backend: Backend | null,
  error: string | null,
): FieldLines {
  const fields = new FieldLines();
  fields.add('x-debug-version-hipache', version);
  if (backend !== null) {
    fields.add('x-debug-backend-url', printable(backend.url));
    fields.add('x-debug-backend-id', String(backend.index));
  }
  if (exchange.frontend !== null) fields.add('x-debug-vhost', printable(exchange.frontend.id));
  if (exchange.host !== '') fields.add('x-debug-frontend-key', exchange.host);
  fields.add('x-debug-time-total', String(Math.round(nowMs - exchange.startMs)));
  if (exchange.sentMs > 0) fields.add('x-debug-time-backend', String(Math.round(nowMs - exchange.sentMs)));
  if (error !== null) fields.add('x-debug-error', error);
  return fields;
}

/**
 * A record's text as a field value: each character that could end the line or is not latin1 becomes a question mark.
 */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\xa0-\xff]/g, '?');
}
