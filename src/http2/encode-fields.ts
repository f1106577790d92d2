import type { FieldLines } from '../http/field-lines.ts';
import { type HpackEncoder, Indexing } from './hpack-encoder.ts';

/** Fields whose value is seldom the same twice, and those that nobody else may learn of. */
const indexingByName: ReadonlyMap<string, Indexing> = new Map<string, Indexing>([
  ['age', Indexing.NONE],
  ['content-length', Indexing.NONE],
  ['content-range', Indexing.NONE],
  ['date', Indexing.NONE],
  ['etag', Indexing.NONE],
  ['expires', Indexing.NONE],
  ['forwarded', Indexing.NONE],
  ['grpc-timeout', Indexing.NONE],
  ['if-modified-since', Indexing.NONE],
  ['if-none-match', Indexing.NONE],
  ['last-modified', Indexing.NONE],
  ['location', Indexing.NONE],
  ['range', Indexing.NONE],
  ['referer', Indexing.NONE],
  ['traceparent', Indexing.NONE],
  ['x-forwarded-for', Indexing.NONE],
  ['x-request-id', Indexing.NONE],
  ['authorization', Indexing.NEVER],
  ['cookie', Indexing.NEVER],
  ['proxy-authorization', Indexing.NEVER],
  ['set-cookie', Indexing.NEVER],
]);

/** HTTP/2 has no such fields (RFC 9113 section 8.2.2). */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  // Of HTTP/1.1 alone (RFC 8441 section 5).
  'sec-websocket-accept',
  'sec-websocket-key',
]);

/** Adds a field to a block, unless HTTP/2 has none of this name. */
export function addField(encoder: HpackEncoder, name: string, value: string): void {
  const lowered = name.toLowerCase();
  if (connectionFields.has(lowered)) return;
  encoder.add(lowered, value, indexingByName.get(lowered) ?? Indexing.KEEP);
}

export function addLines(encoder: HpackEncoder, lines: FieldLines): void {
  for (const [name, value] of lines) addField(encoder, name, value);
}

/** The block of trailers. */
export function trailersBlock(encoder: HpackEncoder, trailers: FieldLines): string {
  encoder.begin();
  addLines(encoder, trailers);
  return encoder.end();
}
