import { randomFillSync } from 'node:crypto';
import { type BlockList, isIP } from 'node:net';
import { FieldEdits, FieldLines } from '../http/field-lines.ts';
import { Field, fieldSet, identityFields } from '../http/field-names.ts';
import { hasField, joinedValues, type RequestView } from '../http/message.ts';

/**
 * The client's identity as backends see it (docs/client-identity.md). The fields of an untrusted peer are dropped and
 * set from the connection. A trusted peer is another proxy: its fields are kept, and its own address is appended to
 * X-Forwarded-For.
 */

/** The peer of one connection. */
export interface Peer {
  /** As it appears in logs and fields: IPv4 as `::ffff:a.b.c.d`, like in Hipache 0.4. */
  readonly address: string;
  readonly trusted: boolean;
  readonly secure: boolean;
  /** The fields for every request, if the peer is untrusted. */
  readonly fields: FieldLines;
}

export function describePeer(address: string, secure: boolean, trustedProxies: BlockList): Peer {
  const shown = shownAddress(address);
  return {
    address: shown,
    trusted: isTrusted(address, trustedProxies),
    secure,
    fields: peerFields(shown, secure),
  };
}

/** The client's address: the peer's, or the last one in X-Forwarded-For for which trusted peers vouch. */
export function clientAddress(peer: Peer, request: RequestView, trustedProxies: BlockList): string {
  if (!peer.trusted) return peer.address;
  const forwardedFor = joinedValues(request, Field.X_FORWARDED_FOR);
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

/** For one request: the fields that identify the client to the backend, and the client's fields that they replace. */
export function identityEdits(peer: Peer, request: RequestView, client: string): FieldEdits {
  return peer.trusted
    ? vouchedEdits(peer, request, client)
    : new FieldEdits(identityFields, peer.fields.text + newTraceLines());
}

const replacedOfTrusted = fieldSet(Field.X_FORWARDED_FOR);

/** Keeps a trusted peer's fields and adds the missing ones. */
function vouchedEdits(peer: Peer, request: RequestView, client: string): FieldEdits {
  const has = (number: number): boolean => hasField(request, number);
  const fields = new FieldEdits(replacedOfTrusted);
  const forwardedFor = joinedValues(request, Field.X_FORWARDED_FOR);
  fields.add('X-Forwarded-For', forwardedFor === null ? peer.address : `${forwardedFor}, ${peer.address}`);
  if (!has(Field.X_REAL_IP)) fields.add('X-Real-IP', client);
  const protocol =
    joinedValues(request, Field.X_FORWARDED_PROTO) ??
    joinedValues(request, Field.X_FORWARDED_PROTOCOL) ??
    (peer.secure ? 'https' : 'http');
  if (!has(Field.X_FORWARDED_PROTOCOL)) fields.add('X-Forwarded-Protocol', protocol);
  if (!has(Field.X_FORWARDED_PROTO)) fields.add('X-Forwarded-Proto', protocol);
  if (!has(Field.X_FORWARDED_PORT)) fields.add('X-Forwarded-Port', protocol === 'https' ? '443' : '80');
  const id = newTraceId();
  if (!has(Field.X_REQUEST_ID)) fields.add('X-Request-Id', id.slice(0, 32));
  if (!has(Field.TRACEPARENT)) fields.add('traceparent', `00-${id.slice(0, 32)}-${id.slice(32)}-00`);
  return fields;
}

function peerFields(address: string, secure: boolean): FieldLines {
  const fields = new FieldLines();
  const protocol = secure ? 'https' : 'http';
  fields.add('X-Forwarded-For', address);
  fields.add('X-Real-IP', address);
  fields.add('X-Forwarded-Protocol', protocol);
  fields.add('X-Forwarded-Proto', protocol);
  fields.add('X-Forwarded-Port', secure ? '443' : '80');
  return fields;
}

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

function newTraceLines(): string {
  const id = newTraceId();
  const traceId = id.slice(0, 32);
  return `X-Request-Id: ${traceId}\r\ntraceparent: 00-${traceId}-${id.slice(32)}-00\r\n`;
}

/** Random bytes are drawn for many ids at once: one call per request would cost more than the rest of the head. */
const idBytes = 24;
const drawn = Buffer.allocUnsafeSlow(idBytes * 341);
let drawnAt = drawn.length;

/** 48 hexadecimal digits: 32 for a trace id, 16 for a parent id (W3C Trace Context, section 3.2.2). */
function newTraceId(): string {
  if (drawnAt === drawn.length) {
    randomFillSync(drawn);
    drawnAt = 0;
  }
  const id = drawn.toString('hex', drawnAt, drawnAt + idBytes);
  drawnAt += idBytes;
  return id;
}
