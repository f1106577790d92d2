import type { Socket } from 'node:net';
import { preface } from '../../http2/frame.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { NEED_MORE_PROXY, parseProxyHeader } from '../../sockets/proxy-protocol.ts';
import { readProxyHeader } from '../../sockets/proxy-protocol-accept.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import { peerOf, socketOn, type TcpHandle, takeHandle } from '../../sockets/tcp-handle.ts';
import { challengeProtocol, type TlsListener } from '../../tls/tls-listener.ts';
import { describePeer, type Peer } from '../client-identity.ts';
import { drainGraceMs, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { localReplyFor, localReplyText } from '../local-reply.ts';
import type { ServerConnection, ServerConnections } from './connections.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';
import type { ListenerTraits } from './listener-traits.ts';

/** Serves a connection once its protocol is known. */
interface NegotiatedConnection extends ServerConnection, SocketHandler, Timed {
  /** Starts to serve the socket, whose handler is this object already. */
  attach(socket: ByteSocket): void;
}

type ConnectionClass = new (
  peer: Peer,
  traits: ListenerTraits,
  connections: ServerConnections,
  context: ProxyContext,
) => NegotiatedConnection;

/** By the name of the protocol in ALPN (RFC 7301). */
const protocols: Readonly<Record<string, ConnectionClass>> = {
  h2: Http2Connection,
  'http/1.1': Http1Connection,
  'http/1.0': Http1Connection,
};
/** Serves an accepted connection: determines the client's address and protocol, then hands the socket over. */
export function negotiate(
  handle: TcpHandle,
  traits: ListenerTraits,
  connections: ServerConnections,
  context: ProxyContext,
): void {
  const from = peerOf(handle);
  if (from === null) {
    // The client has reset the connection. Its bytes could still be read, but nobody would know whose they are.
    handle.close();
    context.counters.clientConnectionsUnknown++;
    return;
  }
  if (traits.tls === null && !traits.proxyProtocol && !traits.h2c) {
    serveHttp1(handle, from, traits, connections, context);
    return;
  }
  const { address, port } = from;
  if (traits.tls !== null && traits.proxyProtocol) {
    new ProxyHeaderBeforeTls(socketOn(handle), address, traits, traits.tls, connections, context);
    return;
  }
  const negotiation = new Negotiation(address, port, traits, connections, context);
  connections.add(negotiation);
  negotiation.attach(
    traits.tls === null
      ? PlainSocket.accepted(handle, negotiation, context.settings.writeBufferBytesMax)
      : acceptTls(handle, address, negotiation, traits.tls, traits.alpn, context),
  );
}

/** A plain connection without a PROXY header has nothing to negotiate. */
function serveHttp1(
  handle: TcpHandle,
  { address, port }: { readonly address: string; readonly port: number },
  traits: ListenerTraits,
  connections: ServerConnections,
  context: ProxyContext,
): void {
  const { settings } = context;
  const peer = describePeer(address, false, settings, { port, shown: null, tlsVersion: null });
  const connection = new Http1Connection(peer, traits, connections, context);
  connections.add(connection);
  const socket = PlainSocket.accepted(handle, connection, settings.writeBufferBytesMax);
  connection.attach(socket);
  socket.resume();
}

function acceptTls(
  accepted: TcpHandle | Socket,
  address: string,
  handler: SocketHandler,
  listener: TlsListener,
  alpn: Uint8Array,
  { clock, settings }: ProxyContext,
): ByteSocket {
  const plainReply = (): string =>
    localReplyText(localReplyFor('REQUEST_PLAIN'), 'REQUEST_PLAIN', {
      ...{ versionMinor: 1, isHead: false, keepAlive: false, accept: 'text/plain', page: null, added: null },
      epochMs: clock.epochMs(),
    });
  return StreamSocket.acceptedTls(
    ...([accepted, address, handler, settings.writeBufferBytesMax, listener, alpn, plainReply] as const),
  );
}

/** From so many bytes on, nothing but HTTP/2 begins like its preface. */
const prefaceKnownBytes = 'PRI * HTTP/2.0'.length;
const nothing: Buffer = Buffer.alloc(0);

/** A connection whose protocol is not known yet: its PROXY header or TLS handshake is due. */
class Negotiation implements ServerConnection, SocketHandler, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  readonly isStreaming = false;
  private readonly context: ProxyContext;
  private readonly connections: ServerConnections;
  private readonly traits: ListenerTraits;
  private readonly address: string;
  private readonly port: number;
  private socket!: ByteSocket;
  private received = nothing;
  /** As the PROXY header says; null as long as it has not come. */
  private clientAddress: string | null;
  private isOver = false;

  /** @param port of the client; 0 if it is unknown. */
  constructor(
    address: string,
    port: number,
    traits: ListenerTraits,
    connections: ServerConnections,
    context: ProxyContext,
  ) {
    this.address = address;
    this.port = port;
    this.traits = traits;
    this.connections = connections;
    this.context = context;
    this.clientAddress = traits.proxyProtocol ? null : address;
    this.deadlineMs = context.clock.monotonicMs() + context.settings.headTimeoutMs;
    context.deadlines.add(this);
  }

  /** Separate from the constructor because the socket needs its handler first. */
  attach(socket: ByteSocket): void {
    this.socket = socket;
    socket.resume();
  }

  drain(): void {
    // A handshake has its own deadline.
    if (this.isTls) return;
    this.deadlineMs = Math.min(this.deadlineMs, this.context.clock.monotonicMs() + drainGraceMs);
  }

  closeIfIdle(): boolean {
    return false;
  }

  destroy(): void {
    this.socket.destroy();
  }

  onConnected(): void {
    const { counters } = this.context;
    counters.tlsHandshakes++;
    if (this.socket.isResumed) counters.tlsHandshakesResumed++;
    // The handshake was the whole matter (RFC 8737 section 3).
    if (this.socket.alpnProtocol === challengeProtocol) {
      this.isOver = true;
      this.destroy();
    } else {
      // A client that does not use ALPN speaks HTTP/1.
      this.finish(this.address, null, protocols[this.socket.alpnProtocol] ?? Http1Connection);
    }
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)]);
    if (this.clientAddress === null) {
      const header = parseProxyHeader(this.received);
      if (header === NEED_MORE_PROXY) return;
      if (header === null) {
        this.destroy();
        return;
      }
      this.clientAddress = header.address === '' ? this.address : header.address;
      this.received = this.received.subarray(header.length);
    }
    this.chooseByPreface(this.clientAddress);
  }

  /** Without TLS, a client of HTTP/2 is known by what it sends first (RFC 9113 section 3.3). */
  private chooseByPreface(client: string): void {
    const { received, traits } = this;
    const begin = received.toString('latin1', 0, preface.length);
    if (!traits.h2c || !preface.startsWith(begin)) this.finish(client, received, Http1Connection);
    else if (begin.length >= prefaceKnownBytes) this.finish(client, received, Http2Connection);
  }

  onEnd(): void {
    this.destroy();
  }

  onDrain(): void {}

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.context.onInternalError('a client connection', error);
  }

  onDeadline(): void {
    this.destroy();
  }

  onClosed(): void {
    if (this.isTls && !this.isOver) this.context.counters.tlsHandshakesFailed++;
    this.context.deadlines.remove(this);
    this.connections.delete(this);
  }

  private get isTls(): boolean {
    return this.traits.tls !== null;
  }

  /** The protocol is known: hands the socket over. @param rest bytes behind the PROXY header. */
  private finish(address: string, rest: Buffer | null, Connection: ConnectionClass): void {
    if (this.isOver) return;
    this.isOver = true;
    const { connections, context, socket } = this;
    const { shown, tlsVersion } = socket;
    const port = this.traits.proxyProtocol ? 0 : this.port;
    const peer = describePeer(address, this.isTls, context.settings, { port, shown, tlsVersion });
    context.deadlines.remove(this);
    const connection = new Connection(peer, this.traits, connections, context);
    connections.replace(this, connection);
    socket.handTo(connection);
    connection.attach(socket);
    // A PROXY header and the first byte of a request share one deadline.
    if (!this.isTls) connection.deadlineMs = this.deadlineMs;
    if (context.draining) connection.drain();
    if (rest !== null && rest.length > 0) connection.onBytes(rest, rest.length);
  }
}

/** A connection with a PROXY header before TLS. Only Node's own socket can stop reading between the two. */
class ProxyHeaderBeforeTls implements ServerConnection {
  private readonly socket: Socket;

  constructor(
    socket: Socket,
    from: string,
    traits: ListenerTraits,
    listener: TlsListener,
    connections: ServerConnections,
    context: ProxyContext,
  ) {
    this.socket = socket;
    connections.add(this);
    readProxyHeader(socket, context.settings.headTimeoutMs, (address) => {
      if (address === null) {
        connections.delete(this);
        return;
      }
      const client = address === '' ? from : address;
      const negotiation = new Negotiation(client, 0, traits, connections, context);
      connections.replace(this, negotiation);
      // If the socket has read bytes beyond the header, only the socket can pass them on.
      const rest = socket.readableLength === 0 ? takeHandle(socket) : null;
      negotiation.attach(acceptTls(rest ?? socket, client, negotiation, listener, traits.alpn, context));
    });
  }

  drain(): void {
    this.socket.destroy();
  }

  closeIfIdle(): boolean {
    return false;
  }

  destroy(): void {
    this.socket.destroy();
  }
}
