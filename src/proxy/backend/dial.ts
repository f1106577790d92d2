import type { ErrorCode } from '../../base/errors.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import type { StreamWaiter } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { Http1BackendConnection } from './http1-connection.ts';
import type { Http1Pool } from './http1-pool.ts';

/** Serves the socket once it is connected. */
interface BackendConnectionClass {
  new (pool: Http1Pool, socket: ByteSocket, context: ProxyContext): Http1BackendConnection;
}

/** Protocols offered to backends by ALPN, in order of preference (RFC 7301). One that chooses none speaks HTTP/1.1. */
const protocols: Readonly<Record<string, BackendConnectionClass>> = { 'http/1.1': Http1BackendConnection };
const alpnProtocols = Object.keys(protocols);

/**
 * A connection to a backend until it is established, with TLS until the handshake is complete. Then the negotiated
 * protocol is known, and a connection of that protocol takes over the socket.
 */
export class Dial implements SocketHandler, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  readonly isStreaming = false;
  private readonly pool: Http1Pool;
  private readonly context: ProxyContext;
  private readonly socket: ByteSocket;
  private waiter: StreamWaiter | null;
  private hasLeftPool = false;

  /** Starts to connect. The waiter is notified later. */
  constructor(pool: Http1Pool, waiter: StreamWaiter, context: ProxyContext) {
    this.pool = pool;
    this.waiter = waiter;
    this.context = context;
    this.socket = this.connect();
    this.deadlineMs = context.clock.monotonicMs() + context.settings.connectTimeoutMs;
    context.deadlines.add(this);
    context.counters.backendConnections++;
    context.counters.backendConnectionsOpen++;
  }

  /** The waiter gives up. If the dial was for it, it continues, for the next waiter. */
  release(waiter: StreamWaiter): void {
    if (this.waiter !== waiter) return;
    this.waiter = null;
    if (this.context.draining) this.destroy();
  }

  onConnected(): void {
    const { context, pool, socket, waiter } = this;
    this.waiter = null;
    context.deadlines.remove(this);
    const Connection = protocols[socket.alpnProtocol] ?? Http1BackendConnection;
    const connection = new Connection(pool, socket, context);
    socket.handTo(connection);
    this.hasLeftPool = true;
    pool.connected(this);
    if (waiter !== null) waiter.onStream(connection);
    else pool.giveBack(connection);
  }

  onBytes(): void {
    this.destroy();
  }

  onEnd(): void {
    this.destroy();
  }

  onDrain(): void {}

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.context.onInternalError('a connection to a backend', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    const { pool, waiter } = this;
    this.waiter = null;
    this.context.deadlines.remove(this);
    this.context.counters.backendConnectionsOpen--;
    this.leavePool();
    if (waiter === null) return;
    // The backend may have rejected the session, so it is not offered again.
    pool.tlsSession = null;
    const detail = error?.code ?? 'closed';
    waiter.onNoStream(dialErrorCode(detail, pool.tlsName !== null), `${pool.address}: ${detail}`);
  }

  onDeadline(): void {
    const { waiter } = this;
    this.waiter = null;
    this.destroy();
    waiter?.onNoStream('BACKEND_CONNECT_TIMEOUT', `${this.pool.address} did not accept the connection`);
  }

  destroy(): void {
    this.leavePool();
    this.socket.destroy();
  }

  private connect(): ByteSocket {
    const { hostname, port, tlsName: serverName, tlsSession } = this.pool;
    const { backendTls, settings } = this.context;
    const { writeBufferBytesMax } = settings;
    if (serverName === null) return PlainSocket.connecting(hostname, port, this, writeBufferBytesMax);
    const peer = { hostname, port, serverName, alpnProtocols };
    return StreamSocket.connectingTls(peer, this, writeBufferBytesMax, backendTls, tlsSession, (session) => {
      this.pool.tlsSession = session;
    });
  }

  /** Frees its place in the pool at once, without waiting for the socket to close. */
  private leavePool(): void {
    if (this.hasLeftPool) return;
    this.hasLeftPool = true;
    this.pool.dialFailed(this);
  }
}

/** The code for a failed dial: the backend, its certificate or this machine may be the cause. */
function dialErrorCode(detail: string, isTls: boolean): ErrorCode {
  switch (detail) {
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EADDRNOTAVAIL':
      return 'OVERLOADED';
    case 'ETIMEDOUT':
      return 'BACKEND_CONNECT_TIMEOUT';
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'closed':
      return 'BACKEND_CONNECT_REFUSED';
    default:
      // TLS and certificate errors are too many to list.
      return isTls ? 'BACKEND_TLS' : 'BACKEND_CONNECT_REFUSED';
  }
}
