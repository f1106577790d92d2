import { randomFillSync } from 'node:crypto';
import { type BlockList, isIP } from 'node:net';
import { Field, fieldSet, identityFields } from '../../http/field-names.ts';
import type { RequestHead } from '../../http1/request-head.ts';

/**
 * Who the client is, as the backend is told (docs/client-identity.md). A peer that is not trusted tells us nothing:
 * every such field of its is dropped, and set from the connection. A trusted one is another proxy: what it says is
 * kept, and it is itself appended to the way that the request came.
 */

/** The peer of one connection. */
export interface Peer {
  /** As logs and fields show it: IPv4 as `::ffff:a.b.c.d`, like Hipache. */
  readonly address: string;
  readonly trusted: boolean;
  readonly secure: boolean;
  /** The fields for every request of an untrusted peer, as lines. */
  readonly lines: string;
}

export function describePeer(address: string, secure: boolean, trustedProxies: BlockList): Peer {
  const shown = shownAddress(address);
  return {
    address: shown,
    trusted: isTrusted(address, trustedProxies),
    secure,
    lines: `X-Forwarded-For: ${shown}\r\nX-Real-IP: ${shown}\r\n${protocolLines(secure)}`,
  };
}

/** The address of the client: that of the peer, or what a trusted peer says, as far as trusted peers vouch for it. */
export function clientAddress(peer: Peer, head: RequestHead, trustedProxies: BlockList): string {
  if (!peer.trusted) return peer.address;
  const forwardedFor = fieldOf(head, Field.X_FORWARDED_FOR);
  if (forwardedFor === null) return peer.address;
  let client = peer.address;
  for (const part of forwardedFor.split(',').reverse()) {
    const address = part.trim();
    if (isIP(address) === 0) break;
    client = shownAddress(address);
    if (!isTrusted(address, trustedProxies)) break;
  }
  return client;
}

/** The lines that tell the backend who asks, for one request. */
export function identityLines(peer: Peer, head: RequestHead, client: string): string {
  if (!peer.trusted) return peer.lines + newTraceLines();
  const has = (field: number): boolean => fieldOf(head, field) !== null;
  const forwardedFor = fieldOf(head, Field.X_FORWARDED_FOR);
  let lines = `X-Forwarded-For: ${forwardedFor === null ? '' : `${forwardedFor}, `}${peer.address}\r\n`;
  if (!has(Field.X_REAL_IP)) lines += `X-Real-IP: ${client}\r\n`;
  const protocol = peer.secure ? 'https' : 'http';
  const told = fieldOf(head, Field.X_FORWARDED_PROTO) ?? fieldOf(head, Field.X_FORWARDED_PROTOCOL) ?? protocol;
  if (!has(Field.X_FORWARDED_PROTOCOL)) lines += `X-Forwarded-Protocol: ${told}\r\n`;
  if (!has(Field.X_FORWARDED_PROTO)) lines += `X-Forwarded-Proto: ${told}\r\n`;
  if (!has(Field.X_FORWARDED_PORT)) lines += `X-Forwarded-Port: ${told === 'https' ? 443 : 80}\r\n`;
  const id = newTraceId();
  if (!has(Field.X_REQUEST_ID)) lines += `X-Request-Id: ${id.slice(0, 32)}\r\n`;
  if (!has(Field.TRACEPARENT)) lines += `traceparent: 00-${id.slice(0, 32)}-${id.slice(32)}-00\r\n`;
  return lines;
}

/** The fields of a request that `identityLines` replaces, as a set: all of them unless the peer is trusted. */
export function replacedFields(peer: Peer): number {
  return peer.trusted ? replacedOfTrusted : identityFields;
}

const replacedOfTrusted = fieldSet(Field.X_FORWARDED_FOR);

function shownAddress(address: string): string {
  return address.includes(':') ? address : `::ffff:${address}`;
}

function isTrusted(address: string, trustedProxies: BlockList): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  const plain = mapped === null ? address : (mapped[1] as string);
  const family = isIP(plain);
  if (family === 0) return false;
  return trustedProxies.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

function protocolLines(secure: boolean): string {
  return secure
    ? 'X-Forwarded-Protocol: https\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n'
    : 'X-Forwarded-Protocol: http\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n';
}

/** All values of a field, joined as a list; null without one. */
function fieldOf(head: RequestHead, number: number): string | null {
  let value: string | null = null;
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.fieldNumber(field) !== number) continue;
    value = value === null ? head.fieldValue(field) : `${value}, ${head.fieldValue(field)}`;
  }
  return value;
}

function newTraceLines(): string {
  const id = newTraceId();
  const traceId = id.slice(0, 32);
  return `X-Request-Id: ${traceId}\r\ntraceparent: 00-${traceId}-${id.slice(32)}-00\r\n`;
}

/** Random bytes are drawn for many ids at once: a call per request would cost more than the rest of its head. */
const idBytes = 24;
const drawn = Buffer.allocUnsafeSlow(idBytes * 341);
let drawnAt = drawn.length;

/** 48 hexadecimal digits: 32 of a trace id, 16 of a parent id (W3C Trace Context, section 3.2.2). */
function newTraceId(): string {
  if (drawnAt === drawn.length) {
    randomFillSync(drawn);
    drawnAt = 0;
  }
  const id = drawn.toString('hex', drawnAt, drawnAt + idBytes);
  drawnAt += idBytes;
  return id;
}
