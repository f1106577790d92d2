import type { Backend } from '../routing/backend.ts';
import type { Exchange } from './exchange.ts';

/** Hipache's debug fields, for a trusted peer that sent `X-Debug`. */
export function debugLines(
  exchange: Exchange,
  version: string,
  nowMs: number,
  failed: Backend | null = null,
  error: string | null = null,
): string {
  const backend = exchange.backend ?? failed;
  let lines = `x-debug-version-hipache: ${version}\r\n`;
  if (backend !== null) {
    lines += `x-debug-backend-url: ${printable(backend.url)}\r\nx-debug-backend-id: ${backend.index}\r\n`;
  }
  if (exchange.frontend !== null) lines += `x-debug-vhost: ${printable(exchange.frontend.id)}\r\n`;
  if (exchange.host !== '') lines += `x-debug-frontend-key: ${exchange.host}\r\n`;
  lines += `x-debug-time-total: ${Math.round(nowMs - exchange.startMs)}\r\n`;
  if (exchange.sentMs > 0) lines += `x-debug-time-backend: ${Math.round(nowMs - exchange.sentMs)}\r\n`;
  if (error !== null) lines += `x-debug-error: ${error}\r\n`;
  return lines;
}

/** A record's text as a field value: what could end the line, or is not latin1, becomes a question mark. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\xa0-\xff]/g, '?');
}
