/**
 * The field names that a proxy acts on, as small numbers, found from bytes without creating a string. Everything else
 * is `OTHER` and passes through unchanged.
 */
export const Field = {
  OTHER: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  /** Keep-Alive, Proxy-Connection: hop-by-hop, never forwarded. */
  HOP: 5,
  TE: 6,
  TRAILER: 7,
  UPGRADE: 8,
  EXPECT: 9,
  X_FORWARDED_FOR: 10,
  X_FORWARDED_PROTO: 11,
  X_FORWARDED_PROTOCOL: 12,
  X_FORWARDED_PORT: 13,
  X_REAL_IP: 14,
  /**
   * Forwarded, every X-Forwarded-* without a number of its own, and what frameworks believe by default as well:
   * Client-IP (Rails), Front-End-Https (Plack), Client-Cert and Client-Cert-Chain (RFC 9440).
   */
  FORWARDED_OTHER: 15,
  X_REQUEST_ID: 16,
  TRACEPARENT: 17,
  TRACESTATE: 18,
  X_DEBUG: 19,
  REFERER: 20,
  USER_AGENT: 21,
  RETRY_AFTER: 22,
  ACCEPT: 23,
  /** An underscore alias of a field that identifies the client (CVE-2026-39858): never forwarded. */
  ALIAS: 24,
  /** An underscore alias of a framing field: some servers take it for the field itself. */
  FRAMING_ALIAS: 25,
  AUTHORIZATION: 26,
  WWW_AUTHENTICATE: 27,
  DATE: 28,
  MAX_FORWARDS: 29,
  CDN_LOOP: 30,
} as const;

/** A set of fields: one bit for each `Field` number, all of which are below 32. */
export function fieldSet(...numbers: readonly number[]): number {
  let set = 0;
  for (const number of numbers) set |= 1 << number;
  return set;
}

/** Fields in which one proxy tells the next about the client and identifies the request. */
export const identityFields = fieldSet(
  Field.X_FORWARDED_FOR,
  Field.X_FORWARDED_PROTO,
  Field.X_FORWARDED_PROTOCOL,
  Field.X_FORWARDED_PORT,
  Field.X_REAL_IP,
  Field.FORWARDED_OTHER,
  Field.X_REQUEST_ID,
  Field.TRACEPARENT,
  Field.TRACESTATE,
);

const names: readonly (readonly [string, number])[] = [
  ['host', Field.HOST],
  ['content-length', Field.CONTENT_LENGTH],
  ['transfer-encoding', Field.TRANSFER_ENCODING],
  ['connection', Field.CONNECTION],
  ['keep-alive', Field.HOP],
  ['proxy-connection', Field.HOP],
  ['te', Field.TE],
  ['trailer', Field.TRAILER],
  ['upgrade', Field.UPGRADE],
  ['expect', Field.EXPECT],
  ['x-forwarded-for', Field.X_FORWARDED_FOR],
  ['x-forwarded-proto', Field.X_FORWARDED_PROTO],
  ['x-forwarded-protocol', Field.X_FORWARDED_PROTOCOL],
  ['x-forwarded-port', Field.X_FORWARDED_PORT],
  ['x-real-ip', Field.X_REAL_IP],
  ['forwarded', Field.FORWARDED_OTHER],
  ['client-ip', Field.FORWARDED_OTHER],
  ['front-end-https', Field.FORWARDED_OTHER],
  ['client-cert', Field.FORWARDED_OTHER],
  ['client-cert-chain', Field.FORWARDED_OTHER],
  ['x-request-id', Field.X_REQUEST_ID],
  ['traceparent', Field.TRACEPARENT],
  ['tracestate', Field.TRACESTATE],
  ['x-debug', Field.X_DEBUG],
  ['referer', Field.REFERER],
  ['user-agent', Field.USER_AGENT],
  ['retry-after', Field.RETRY_AFTER],
  ['accept', Field.ACCEPT],
  ['authorization', Field.AUTHORIZATION],
  ['www-authenticate', Field.WWW_AUTHENTICATE],
  ['date', Field.DATE],
  ['max-forwards', Field.MAX_FORWARDS],
  ['cdn-loop', Field.CDN_LOOP],
];

const HYPHEN = 45;
const UNDERSCORE = 95;
const LOWER_X = 120;
const forwardedPrefix = Buffer.from('x-forwarded-', 'latin1');
const nameLengthMax = Math.max(...names.map(([name]) => name.length));

/** By length and the low five bits of the first letter: 1 + the position in `names` of the only candidate, or 0. */
const candidates = new Uint8Array((nameLengthMax + 1) << 5);
const numbers: readonly number[] = names.map(([, number]) => number);
const spellings: readonly Buffer[] = names.map(([name]) => Buffer.from(name, 'latin1'));
for (const [position, [name]] of names.entries()) {
  const slot = (name.length << 5) | (name.charCodeAt(0) & 31);
  if (candidates[slot] !== 0) throw new Error(`field names collide at ${name}: give the table another key`);
  candidates[slot] = position + 1;
}

/** The number of the field name in `bytes[start, end)`, in any case. */
export function fieldNumberOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= nameLengthMax) {
    const candidate = candidates[(length << 5) | ((bytes[start] as number) & 31)] as number;
    if (candidate !== 0) {
      const spelling = spellings[candidate - 1] as Buffer;
      let aliased = false;
      let at = 0;
      for (; at < length; at++) {
        const byte = bytes[start + at] as number;
        const wanted = spelling[at] as number;
        // Setting bit 0x20 in a token byte lowers a letter's case, and maps no other token byte to a letter.
        if (byte === wanted || (byte | 0x20) === wanted) continue;
        if (wanted === HYPHEN && byte === UNDERSCORE) {
          aliased = true;
          continue;
        }
        break;
      }
      if (at === length) {
        const number = numbers[candidate - 1] as number;
        return aliased ? aliasNumber(number) : number;
      }
    }
  }
  return length > forwardedPrefix.length && ((bytes[start] as number) | 0x20) === LOWER_X
    ? forwardedNumber(bytes, start)
    : Field.OTHER;
}

function forwardedNumber(bytes: Uint8Array, start: number): number {
  let aliased = false;
  for (let at = 0; at < forwardedPrefix.length; at++) {
    const byte = bytes[start + at] as number;
    const wanted = forwardedPrefix[at] as number;
    if ((byte | 0x20) === wanted || byte === wanted) continue;
    if (wanted !== HYPHEN || byte !== UNDERSCORE) return Field.OTHER;
    aliased = true;
  }
  return aliased ? Field.ALIAS : Field.FORWARDED_OTHER;
}

function aliasNumber(number: number): number {
  switch (number) {
    case Field.CONTENT_LENGTH:
    case Field.TRANSFER_ENCODING:
      return Field.FRAMING_ALIAS;
    case Field.X_FORWARDED_FOR:
    case Field.X_FORWARDED_PROTO:
    case Field.X_FORWARDED_PROTOCOL:
    case Field.X_FORWARDED_PORT:
    case Field.X_REAL_IP:
    case Field.FORWARDED_OTHER:
    case Field.X_REQUEST_ID:
    case Field.X_DEBUG:
      return Field.ALIAS;
    default:
      return Field.OTHER;
  }
}

/** Whether the field applies to this connection only (RFC 9110 section 7.6.1). */
export function isHopByHop(number: number): boolean {
  switch (number) {
    case Field.CONNECTION:
    case Field.HOP:
    case Field.TE:
    case Field.UPGRADE:
      return true;
    default:
      return false;
  }
}

/** Whether the field, or another form of its name, belongs to the framing of the message or to the way its body is sent. */
export function isFraming(number: number): boolean {
  switch (number) {
    case Field.CONTENT_LENGTH:
    case Field.TRANSFER_ENCODING:
    case Field.TRAILER:
    case Field.EXPECT:
    case Field.ALIAS:
    case Field.FRAMING_ALIAS:
      return true;
    default:
      return false;
  }
}
