import { backOffMs } from '../../base/back-off.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { NameFailure } from '../../dns/answer.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import type { StreamWaiter } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { AddressWaiter } from './addresses.ts';
import type { BackendPool } from './backend-pool.ts';
import { Http1BackendConnection } from './http1-connection.ts';
import { type GreetingListener, Http2BackendConnection } from './http2-connection.ts';

/** Parts of the connect time-out that the first addresses of a name get, so that the next ones are tried in time. */
const addressSharesMax = 3;
/** Shorter connect time-outs, in ms, have a timer of their own: deadlines are looked at four times a second. */
const coarseMsMin = 1000;
/** A Unix socket whose backlog is full refuses with EAGAIN at once, where TCP would wait. Pauses between tries. */
const fullBacklogPauses = { firstMs: 10, longestMs: 200 };

/**
 * A connection to a backend until it is established: the lookup of its name, the connection to one of its addresses
 * after the other, the TLS handshake, and with HTTP/2 the settings of the backend. A connection of the negotiated protocol
 * takes over the socket.
 */
export class Dial implements AddressWaiter, SocketHandler, GreetingListener, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  readonly isStreaming = false;
  private readonly pool: BackendPool;
  private readonly context: ProxyContext;
  /** Null while the name is looked up. */
  private socket: ByteSocket | null = null;
  /** For the connection, in ms: of the waiter that it is begun for. */
  private readonly connectMs: number;
  /** Of a short deadline. */
  private timer: NodeJS.Timeout | undefined;
  private address = '';
  /** Monotonic ms at which all addresses together have had their time. */
  private endsMs = 0;
  private tried: string[] = [];
  private readonly alpnProtocols: readonly string[];
  /** Those that it is for: more than one if all can use the connection, which is one of HTTP/2. */
  private readonly waiters: StreamWaiter[];
  /** Runs while the backlog of a Unix socket is full. */
  private pause: NodeJS.Timeout | null = null;
  private tries = 0;
  private hasLeftPool = false;
  private isOver = false;

  constructor(pool: BackendPool, waiter: StreamWaiter, context: ProxyContext) {
    this.pool = pool;
    this.waiters = [waiter];
    this.alpnProtocols = pool.protocolsFor(waiter);
    this.context = context;
    this.connectMs = waiter.timeouts.connectMs;
    this.deadlineMs = context.clock.monotonicMs() + this.connectMs;
  }

  /** Starts to connect. The waiter is notified later. */
  start(): void {
    const { context } = this;
    context.deadlines.add(this);
    context.counters.backendConnections++;
    context.counters.backendConnectionsOpen++;
    this.endsMs = context.clock.monotonicMs() + this.connectMs;
    this.setDeadline(this.connectMs);
    if (!this.connectNext()) this.pool.addresses.await(this);
  }

  /** Whether the connection may become one of HTTP/2. */
  get offersHttp2(): boolean {
    return this.alpnProtocols.includes('h2');
  }

  /** Whether it may be for this waiter as well. */
  takes(waiter: StreamWaiter): boolean {
    if (!this.offersHttp2 || this.hasLeftPool || this.waiters.length >= this.context.settings.http2BackendStreamsMax) {
      return false;
    }
    return this.connectMs <= waiter.timeouts.connectMs && (this.pool.isHttp2 || waiter.carries === 'message');
  }

  join(waiter: StreamWaiter): void {
    this.waiters.push(waiter);
  }

  /** The waiter gives up. If the dial was for it alone, it continues, for the next waiter. */
  release(waiter: StreamWaiter): void {
    const at = this.waiters.indexOf(waiter);
    if (at < 0) return;
    this.waiters.splice(at, 1);
    if (this.waiters.length > 0) return;
    // Nobody else may ever ask for the name, and a dial that only waits for it costs the next waiter nothing.
    if (this.context.draining || this.socket === null) this.destroy();
  }

  onAddresses(): void {
    this.connectNext();
  }

  onNoAddresses({ code }: NameFailure): void {
    this.failWith(code === 'OVERLOADED' ? code : 'BACKEND_CONNECT_REFUSED', `${this.pool.hostname}: ${code}`);
  }

  onConnected(): void {
    const { address, context, pool, socket } = this;
    if (socket === null || this.isOver) return;
    const isHttp2 = pool.tlsName === null ? pool.isHttp2 : socket.alpnProtocol === 'h2';
    if (isHttp2) {
      const connection = new Http2BackendConnection(pool, socket, address, context, this);
      socket.handTo(connection);
      connection.start();
    } else if (pool.isHttp2) {
      this.failAt(socket, 'BACKEND_TLS', 'did not choose HTTP/2 (h2) by ALPN');
    } else {
      const connection = new Http1BackendConnection(pool, socket, address, context);
      socket.handTo(connection);
      this.succeed(connection);
    }
  }

  onReady(connection: Http2BackendConnection): void {
    this.succeed(connection);
  }

  onNotReady(broken: string | null, error: NodeJS.ErrnoException | null): void {
    const { socket } = this;
    if (broken === null || socket === null) this.onClosed(error);
    else this.failAt(socket, 'BACKEND_CONNECT_REFUSED', `does not speak HTTP/2: ${broken}`);
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

  /** The connection to one address has failed, or was given up. */
  onClosed(error: NodeJS.ErrnoException | null): void {
    const { pool } = this;
    this.socket = null;
    const detail = error?.code ?? 'closed';
    if (detail === 'EAGAIN' && this.connectLater()) return;
    const code = dialErrorCode(detail, pool.tlsName !== null);
    // The backend may have rejected the session, so it is not offered again.
    if (this.waiters.length > 0) pool.tlsSession = null;
    if (!this.hasLeftPool && code !== 'OVERLOADED') {
      pool.addresses.failed(this.address);
      if (this.connectNext()) return;
    }
    this.failWith(code, `${this.where}: ${detail}`);
  }

  onDeadline(): void {
    const { pool, socket } = this;
    if (socket === null) {
      const problem = this.pause === null ? `${pool.hostname} was not resolved in time` : `${pool.address}: EAGAIN`;
      this.failWith('BACKEND_CONNECT_TIMEOUT', problem);
      return;
    }
    pool.addresses.failed(this.address);
    const { where } = this;
    socket.handTo(abandoned);
    socket.destroy();
    this.socket = null;
    if (!this.connectNext()) this.failWith('BACKEND_CONNECT_TIMEOUT', `${where} did not accept the connection`);
  }

  destroy(): void {
    const { socket } = this;
    this.leavePool();
    if (socket === null) this.failWith('BACKEND_CONNECT_REFUSED', 'given up');
    else socket.destroy();
  }

  /** @returns false if no address is known, none remains, or the time is over. */
  private connectNext(): boolean {
    const { context, pool } = this;
    const address = pool.addresses.next(this.tried);
    if (address === null) return false;
    const nowMs = context.clock.monotonicMs();
    if (nowMs >= this.endsMs) return false;
    this.tried.push(address);
    this.address = address;
    const shares = Math.min(addressSharesMax, pool.addresses.count - this.tried.length + 1);
    this.setDeadline((this.endsMs - nowMs) / Math.max(1, shares));
    this.socket = this.connect(address);
    return true;
  }

  private setDeadline(inMs: number): void {
    this.deadlineMs = this.context.clock.monotonicMs() + inMs;
    if (this.connectMs >= coarseMsMin) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(passDeadline, inMs, this);
  }

  /** @returns false if the dial is over. */
  private connectLater(): boolean {
    // One that nobody waits for would add to the load, and to a backlog that is full.
    if (this.isOver || this.hasLeftPool || this.waiters.length === 0 || this.context.draining) return false;
    this.tries++;
    this.pause = setTimeout(
      () => {
        this.pause = null;
        this.socket = this.connect(this.address);
      },
      backOffMs(fullBacklogPauses, this.tries),
    );
    return true;
  }

  private connect(address: string): ByteSocket {
    const { port, tlsName: serverName, tlsSession } = this.pool;
    const { backendTls, settings } = this.context;
    const { writeBufferBytesMax } = settings;
    if (serverName === null) return PlainSocket.connecting(address, port, this, writeBufferBytesMax);
    const peer = { address, port, serverName, alpnProtocols: this.alpnProtocols };
    return StreamSocket.connectingTls(peer, this, writeBufferBytesMax, backendTls, tlsSession, (session) => {
      this.pool.tlsSession = session;
    });
  }

  /** For messages: the backend, and its address if that is not in its URL. */
  private get where(): string {
    const { address, pool } = this;
    return address === pool.hostname ? pool.address : `${pool.address} at ${address}`;
  }

  private succeed(connection: Http1BackendConnection | Http2BackendConnection): void {
    const { address, context, pool } = this;
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    context.deadlines.remove(this);
    pool.addresses.worked(address);
    this.hasLeftPool = true;
    pool.established(this, connection, this.waiters.splice(0));
  }

  /** Something is at the address, but not what is wanted. */
  private failAt(socket: ByteSocket, code: ErrorCode, problem: string): void {
    const { where } = this;
    this.socket = null;
    socket.handTo(abandoned);
    socket.destroy();
    this.failWith(code, `${where} ${problem}`);
  }

  /** Ends the dial, once. */
  private failWith(code: ErrorCode, detail: string): void {
    const { context, pool } = this;
    if (this.isOver) return;
    this.isOver = true;
    const waiters = this.waiters.splice(0);
    if (this.pause !== null) clearTimeout(this.pause);
    clearTimeout(this.timer);
    context.deadlines.remove(this);
    context.counters.backendConnectionsOpen--;
    pool.addresses.cancel(this);
    this.leavePool();
    for (const waiter of waiters) waiter.onNoStream(code, detail);
  }

  /** Frees its place in the pool at once, without waiting for the socket to close. */
  private leavePool(): void {
    if (this.hasLeftPool) return;
    this.hasLeftPool = true;
    this.pool.dialFailed(this);
  }
}

function passDeadline(dial: Dial): void {
  try {
    dial.onDeadline();
  } catch (error) {
    dial.onInternalError(error as Error);
    dial.destroy();
  }
}

/** Takes over the socket of an address that did not accept in time, while another one is tried. */
const abandoned: SocketHandler = {
  isStreaming: false,
  onBytes() {},
  onEnd() {},
  onDrain() {},
  onConnected() {},
  onFinished() {},
  onInternalError() {},
  onClosed() {},
};

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
    case 'closed':
      return 'BACKEND_CONNECT_REFUSED';
    default:
      // TLS and certificate errors are too many to list.
      return isTls ? 'BACKEND_TLS' : 'BACKEND_CONNECT_REFUSED';
  }
}
