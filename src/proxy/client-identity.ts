import { isIP } from 'node:net';
import type { Networks } from '../base/networks.ts';
import { FieldEdits, FieldLines } from '../http/field-lines.ts';
import { Field, fieldSet, identityFields } from '../http/field-names.ts';
import { hasField, joinedValues, type RequestView } from '../http/message.ts';
import type { FieldChanges } from '../policy/field-changes.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { type Backend, hostFieldOf } from '../routing/backend.ts';
import type { ShownByClient } from '../sockets/byte-socket.ts';
import { countHop, loopLine } from './hops.ts';

/**
 * The client's identity as backends see it (docs/client-identity.md). The fields of an untrusted peer are dropped and
 * set from the connection. A trusted peer is another proxy: its fields are kept, and its own address is appended to
 * X-Forwarded-For.
 */

/** Which fields backends get. */
export interface IdentityFields {
  /** Whether IPv4 addresses have the form `::ffff:a.b.c.d`, as in Hipache 0.4. */
  readonly mapped: boolean;
  /** Whether `X-Forwarded-Protocol` is sent, as by Hipache 0.4. */
  readonly protocol: boolean;
  /** Whether `Forwarded` is sent (RFC 7239). */
  readonly forwarded: boolean;
  /** Whether `CDN-Loop` is sent, so that loops are found. */
  readonly loop: boolean;
  /** The name of this proxy in `Via` (RFC 9110 section 7.6.3); null: no such field is sent. */
  readonly via: string | null;
}

/** The peer of one connection. */
export interface Peer {
  /** As it appears in logs: IPv4 as `::ffff:a.b.c.d`, like in Hipache 0.4. */
  readonly address: string;
  /** Of its connection; 0 if a balancer has told the address in a PROXY header. */
  readonly port: number;
  readonly trusted: boolean;
  readonly secure: boolean;
  /** Of its TLS with this proxy, such as `TLSv1.3`; null without. */
  readonly tlsVersion: string | null;
  /** As its TLS handshake with this proxy has shown it; null without one. */
  readonly shown: ShownByClient | null;
  readonly identity: IdentityFields;
  /** The lines for every request, if the peer is untrusted, up to the host: the value of the last one. */
  readonly lines: string;
}

export function describePeer(
  address: string,
  secure: boolean,
  { identity, trustedProxies }: { readonly identity: IdentityFields; readonly trustedProxies: Networks },
  connection: Pick<Peer, 'port' | 'shown' | 'tlsVersion'> = unknownConnection,
): Peer {
  const logged = shownAddress(address);
  const trusted = trustedProxies.has(address);
  const lines = trusted ? '' : peerLines(logged, secure, identity);
  const { port, shown, tlsVersion } = connection;
  return { address: logged, port, trusted, secure, tlsVersion, shown, identity, lines };
}

const unknownConnection = { port: 0, shown: null, tlsVersion: null };

/**
 * The client's address: the peer's, or the last one in X-Forwarded-For for which trusted peers vouch. If a trusted peer
 * sends no X-Forwarded-For, the address in its X-Real-IP, which Hipache 0.4 logged.
 */
export function clientAddress(peer: Peer, request: RequestView, trustedProxies: Networks): string {
  if (!peer.trusted) return peer.address;
  const forwardedFor = joinedValues(request, Field.X_FORWARDED_FOR);
  if (forwardedFor === null) {
    const realIp = joinedValues(request, Field.X_REAL_IP) ?? '';
    return isIP(realIp) === 0 ? peer.address : shownAddress(realIp);
  }
  let client = peer.address;
  for (const element of forwardedFor.split(',').reverse()) {
    // Empty elements of a list mean nothing (RFC 9110 section 5.6.1.2).
    if (element.trim() === '') continue;
    const address = withoutPort(element.trim());
    if (isIP(address) === 0) break;
    client = shownAddress(address);
    if (!trustedProxies.has(address)) break;
  }
  return client;
}

/** Some balancers write the client's port as well: `203.0.113.9:4711`, `[2001:db8::9]:4711`. */
function withoutPort(address: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/.exec(address) ?? [];
  return bracketed ?? plain ?? address;
}

/**
 * For one request: the fields that identify the client to the backend, and the client's fields that they replace; and
 * the backend as its host if it names none.
 * @param added changes that the rules of the host have made for this request; null for none.
 */
export function requestEdits(
  peer: Peer,
  request: RequestView,
  client: string,
  backend: Backend,
  { backendHost, requestFields }: Pick<HostPolicy, 'backendHost' | 'requestFields'>,
  traceId: string,
  added: FieldChanges | null = null,
): FieldEdits {
  const edits = countHop(request, identityEdits(peer, request, client, traceId));
  if (backendHost !== null) edits.host = backendHost === 'backend' ? hostFieldOf(backend) : backendHost.value;
  else if (request.authority === null) edits.host = hostFieldOf(backend);
  if (added !== null) change(edits, added);
  if (requestFields !== null) change(edits, requestFields);
  if (peer.identity.via !== null) edits.add('Via', `${request.version} ${peer.identity.via}`);
  return edits;
}

function change(edits: FieldEdits, { dropped, lines }: FieldChanges): void {
  edits.names = edits.names === null ? dropped : new Set([...edits.names, ...dropped]);
  edits.text += lines;
}

/** The same for a request that names a host. @param traceId see `newTraceId`. */
export function identityEdits(peer: Peer, request: RequestView, client: string, traceId: string): FieldEdits {
  if (peer.trusted) return vouchedEdits(peer, request, client, traceId);
  const { authority } = request;
  const isPlain = authority !== null && !authority.includes(':') && !peer.identity.forwarded;
  const lines = isPlain ? peer.lines + authority : linesFor(peer, authority);
  return new FieldEdits(identityFields, lines + traceLines(traceId));
}

const replacedOfTrusted = fieldSet(Field.X_FORWARDED_FOR);
const replacedWithAddress = fieldSet(Field.X_FORWARDED_FOR, Field.X_REAL_IP);

/** Keeps a trusted peer's fields and adds the missing ones. */
function vouchedEdits(peer: Peer, request: RequestView, client: string, id: string): FieldEdits {
  const { identity } = peer;
  const has = (number: number): boolean => hasField(request, number);
  const [forwardedFor, address] = [joinedValues(request, Field.X_FORWARDED_FOR), forwardedForm(peer.address, identity)];
  // A proxy that sets X-Forwarded-For alone lets an X-Real-IP of its client through.
  const isRealIpKept = forwardedFor === null && has(Field.X_REAL_IP);
  const fields = new FieldEdits(isRealIpKept ? replacedOfTrusted : replacedWithAddress);
  fields.add('X-Forwarded-For', forwardedFor === null || forwardedFor === '' ? address : `${forwardedFor}, ${address}`);
  if (!isRealIpKept) fields.add('X-Real-IP', forwardedForm(client, identity));
  const protocol = vouchedProtocol(request) ?? protocolOf(peer.secure);
  if (identity.protocol && !has(Field.X_FORWARDED_PROTOCOL)) fields.add('X-Forwarded-Protocol', protocol);
  if (!has(Field.X_FORWARDED_PROTO)) fields.add('X-Forwarded-Proto', protocol);
  const given = forwardedValue(request, 'x-forwarded-host');
  const host = given ?? request.authority;
  if (given === null && host !== null) fields.add('X-Forwarded-Host', host);
  if (!has(Field.X_FORWARDED_PORT)) fields.add('X-Forwarded-Port', portOf(host, protocol === 'https'));
  // Of further elements in the same field, the last one is that of the nearest proxy (RFC 7239 section 4).
  if (identity.forwarded) fields.add('Forwarded', forwardedElement(address, host, protocolOf(peer.secure)));
  if (identity.loop) fields.text += loopLine;
  if (!has(Field.X_REQUEST_ID)) fields.add('X-Request-Id', id.slice(0, 32));
  if (!has(Field.TRACEPARENT)) fields.add('traceparent', `00-${id.slice(0, 32)}-${id.slice(32)}-00`);
  return fields;
}

/** The id of a request, in logs and for backends: that of a trusted peer, or our own. */
export function requestIdOf({ trusted }: Peer, request: RequestView, traceId: string): string {
  return (trusted ? request.value(Field.X_REQUEST_ID) : null) ?? traceId.slice(0, 32);
}

/** Whether the client uses https: to this proxy, or to a trusted one that says so. */
export function isClientSecure({ secure, trusted }: Peer, request: RequestView): boolean {
  const vouched = trusted ? vouchedProtocol(request) : null;
  return vouched === null ? secure : vouched === 'https';
}

/** The scheme that a trusted peer names, in one of several ways; of a list, the first is the client's. Null for none. */
function vouchedProtocol(request: RequestView): 'http' | 'https' | null {
  const given =
    joinedValues(request, Field.X_FORWARDED_PROTO) ??
    joinedValues(request, Field.X_FORWARDED_PROTOCOL) ??
    (forwardedValue(request, 'x-forwarded-ssl') === 'on' ? 'https' : null);
  if (given === null) return null;
  const [first = ''] = given.toLowerCase().split(',');
  // gunicorn's default, and others, say "ssl" (X-Forwarded-Protocol).
  return ['https', 'ssl', 'wss'].includes(first.trim()) ? 'https' : 'http';
}

/**
 * One piece, because it is put together with others for every request: most hosts come without a port. `join` makes one
 * flat string, where `+` would keep all its parts for as long as the connection lasts.
 */
function peerLines(address: string, secure: boolean, identity: IdentityFields): string {
  const { text } = addressLines(address, secure, identity);
  return [text, 'X-Forwarded-Port: ', portOf(null, secure), '\r\nX-Forwarded-Host: '].join('');
}

/** The same with the host, for any authority; without the last line end. */
function linesFor({ address, identity, secure }: Peer, authority: string | null): string {
  const fields = addressLines(address, secure, identity);
  if (authority !== null) fields.add('X-Forwarded-Host', authority);
  if (identity.forwarded) {
    fields.add('Forwarded', forwardedElement(forwardedForm(address, identity), authority, protocolOf(secure)));
  }
  return `${fields.text}X-Forwarded-Port: ${portOf(authority, secure)}`;
}

function addressLines(address: string, secure: boolean, identity: IdentityFields): FieldLines {
  const fields = new FieldLines();
  const [shown, protocol] = [forwardedForm(address, identity), protocolOf(secure)];
  fields.add('X-Forwarded-For', shown);
  fields.add('X-Real-IP', shown);
  if (identity.protocol) fields.add('X-Forwarded-Protocol', protocol);
  fields.add('X-Forwarded-Proto', protocol);
  if (identity.loop) fields.text += loopLine;
  return fields;
}

function protocolOf(secure: boolean): 'http' | 'https' {
  return secure ? 'https' : 'http';
}

/** The port that the client used: that of the authority, else the default one of the scheme. */
function portOf(authority: string | null, secure: boolean): string {
  const standard = secure ? '443' : '80';
  if (authority === null || !authority.includes(':')) return standard;
  const [, port = standard] = /:([0-9]+)$/.exec(authority) ?? [];
  return port;
}

/** RFC 7239 section 4. */
function forwardedElement(address: string, host: string | null, protocol: string): string {
  const node = address.includes(':') ? `"[${address}]"` : address;
  const named =
    host === null || !/^[\w.:[\]-]+$/.test(host) ? '' : `;host=${/^[\w.-]+$/.test(host) ? host : `"${host}"`}`;
  return `for=${node}${named};proto=${protocol}`;
}

/** The value of the last field with this name, in lower case, that has no number of its own. */
function forwardedValue(request: RequestView, name: string): string | null {
  for (let field = request.fieldCount - 1; field >= 0; field--) {
    if (request.fieldNumber(field) !== Field.FORWARDED_OTHER) continue;
    if (request.fieldName(field).toLowerCase() === name) return request.fieldValue(field);
  }
  return null;
}

/** An address of a log as backends get it. */
function forwardedForm(address: string, { mapped }: IdentityFields): string {
  return mapped ? address : address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function shownAddress(address: string): string {
  return address.includes(':') ? address : `::ffff:${address}`;
}

/** With the end of the line before. @param id see `newTraceId`. */
function traceLines(id: string): string {
  const traceId = id.slice(0, 32);
  return `\r\nX-Request-Id: ${traceId}\r\ntraceparent: 00-${traceId}-${id.slice(32)}-00\r\n`;
}
