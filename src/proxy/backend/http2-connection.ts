import type { ErrorCode } from '../../base/errors.ts';
import { errorName, Http2Error, preface, windowBytesMax } from '../../http2/frame.ts';
import { Session } from '../../http2/session.ts';
import type { SessionOwner } from '../../http2/session-options.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { keepAliveMs, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { atTurnEnd, type TurnTask } from '../turn-end.ts';
import type { BackendPool } from './backend-pool.ts';
import { Http2BackendStream } from './http2-stream.ts';
import { ResetAllowance } from './reset-allowance.ts';

/** It waits for the settings of the backend. */
const GREETING = 0;
const OPEN = 1;
/** It takes no more requests, and ends with the last one. */
const LEAVING = 2;
const CLOSED = 3;

/** How long, in ms, a backend may take for the reply to a ping, after a request without a response. */
const pingMs = 5000;

/** Waits for the settings of the backend, by which it shows that it speaks HTTP/2. One of the methods is called, once. */
export interface GreetingListener {
  onReady(connection: Http2BackendConnection): void;
  /** @param broken what it did against the protocol; null if it has closed the connection. */
  onNotReady(broken: string | null, error: NodeJS.ErrnoException | null): void;
}

/** Why a connection has ended with requests on it. */
interface Loss {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** One HTTP/2 connection to a backend: many requests at a time. Its pool knows it once it is ready. */
export class Http2BackendConnection implements SocketHandler, SessionOwner, Timed, TurnTask {
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  isQueued = false;
  readonly address: string;
  readonly context: ProxyContext;
  /** Monotonic ms since when it has been idle, and of the last bytes from the backend. */
  idleSinceMs = 0;
  lastReadMs: number;
  /** Whether a response has ended on it. */
  hasServed = false;
  /** Responses whose bodies are being read. */
  openBodies = 0;
  private lossDetail = '';
  readonly session: Session;
  private readonly pool: BackendPool;
  private readonly socket: ByteSocket;
  private readonly endsMs: number;
  private readonly allowance: ResetAllowance;
  private greeting: GreetingListener | null;
  private state = GREETING;
  /** A ping shows whether the backend is still there; until then, it gets no requests. */
  private isSuspect = false;
  /** The error of its GOAWAY. */
  private protest = '';

  /** @param socket connected to `address`; the caller hands it over. */
  constructor(
    pool: BackendPool,
    socket: ByteSocket,
    address: string,
    context: ProxyContext,
    greeting: GreetingListener,
  ) {
    const { clock, settings } = context;
    const { headBytesMax, headFieldsMax } = settings.responseLimits;
    const nowMs = clock.monotonicMs();
    this.address = address;
    this.pool = pool;
    this.socket = socket;
    this.context = context;
    this.greeting = greeting;
    this.lastReadMs = nowMs;
    this.endsMs = nowMs + settings.backendAgeMs;
    this.allowance = new ResetAllowance(nowMs);
    this.session = new Session(socket, this, {
      isServer: false,
      // A block that is too large to be decoded ends the connection, and one that is decoded its own request alone.
      limits: { blockBytesMax: 4 * headBytesMax, listBytesMax: headBytesMax, fieldsMax: headFieldsMax },
      streamsMax: 0,
      streamWindowBytes: settings.http2StreamWindowBytes,
      // Clients that do not keep up hold back as many bytes as their streams have: others must not wait for them.
      connectionWindowBytes: Math.min(
        settings.http2BackendStreamsMax * settings.http2StreamWindowBytes,
        windowBytesMax,
      ),
      takesProtocols: false,
      nowMs: () => clock.monotonicMs(),
      budget: settings.http2Budget,
    });
  }

  /** Speaks first. */
  start(): void {
    this.socket.keepAlive(keepAliveMs);
    this.socket.append(preface);
    this.session.start();
    this.socket.flush();
  }

  get scheme(): 'http' | 'https' {
    return this.pool.tlsName === null ? 'http' : 'https';
  }

  get isIdle(): boolean {
    return this.session.streams.size === 0;
  }

  /** Whether it takes WebSockets (RFC 8441). */
  get takesWebSockets(): boolean {
    return this.session.peer.takesProtocols;
  }

  get isStreaming(): boolean {
    return this.openBodies > 0;
  }

  /** Whether it takes another request now. */
  get hasRoom(): boolean {
    const { context, session, socket, state } = this;
    if (state !== OPEN || session.ended !== null || !session.canOpen) return false;
    if (this.isSuspect || socket.isClosed) return false;
    if ((this.hasServed && !this.isKept) || context.deadlines.nowMs >= this.endsMs) return false;
    return session.streams.size < Math.min(context.settings.http2BackendStreamsMax, session.peer.streamsMax);
  }

  /** A stream for the next request, if there is room. */
  open(): Http2BackendStream {
    return new Http2BackendStream(this);
  }

  /** The end of the connection, for a request that has no response yet. */
  get loss(): Loss {
    const { lossDetail: detail, protest, session } = this;
    if (this.isBroken) return { code: 'BACKEND_RESPONSE_INVALID', detail: endOf(session) };
    return { code: protest === '' ? 'BACKEND_RESET' : 'BACKEND_STREAM_RESET', detail };
  }

  /** It takes no more requests. */
  retire(): void {
    if (this.state !== OPEN) return;
    this.state = LEAVING;
    if (this.isIdle) this.leave();
  }

  destroy(): void {
    this.lose('given up');
    this.socket.destroy();
  }

  /** A stream was reset before its response had ended. Many servers take too many of these for an attack (CVE-2023-44487). */
  countReset(): void {
    if (!this.allowance.take(this.context.clock.monotonicMs())) this.retire();
  }

  /** The backend has not responded to a request that was sent at `sinceMs`. It may have vanished, or be slow at this one. */
  suspect(sinceMs: number): void {
    if (this.state >= CLOSED || this.isSuspect || this.lastReadMs >= sinceMs) return;
    this.isSuspect = true;
    this.session.ping();
    this.deadlineMs = this.context.clock.monotonicMs() + pingMs;
  }

  /** The backend wants HTTP/1.1 for what it was asked. */
  requireHttp1(): void {
    this.pool.requireHttp1();
  }

  /** A request has ended, and its stream is closed. */
  streamClosed(): void {
    if (this.state >= CLOSED) return;
    if (this.state === LEAVING || this.context.deadlines.nowMs >= this.endsMs) {
      if (this.isIdle) this.leave();
      return;
    }
    if (this.hasServed && !this.isKept) this.retire();
    else this.roomFreed();
    if (this.context.draining && this.isIdle) this.retire();
  }

  onConnected(): void {}

  onBytes(bytes: Buffer, length: number): void {
    const { session } = this;
    this.lastReadMs = this.context.clock.monotonicMs();
    const wasSuspect = this.isSuspect;
    this.isSuspect = false;
    if (wasSuspect) this.setIdleDeadline();
    if (!session.read(bytes, 0, length)) {
      this.end(endOf(session));
      return;
    }
    // A server may not take streams yet.
    if (this.state === GREETING && session.peer.haveCome && session.peer.streamsMax > 0) this.ready();
    else if (wasSuspect) this.roomFreed();
  }

  onEnd(): void {
    if (this.state === OPEN && this.isIdle) this.endedWhileIdle();
    this.end('connection ended');
  }

  onDrain(): void {
    this.session.resume();
  }

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.context.onInternalError('a connection to a backend', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    if (this.state === OPEN && this.isIdle && error !== null) this.endedWhileIdle();
    this.lose(error?.code ?? 'closed', error);
  }

  onDeadline(): void {
    if (this.isSuspect) this.end('no reply to a ping');
    else if (this.isIdle) this.leave();
    else this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  onStream(): void {}

  onOutput(): void {
    atTurnEnd(this);
  }

  atTurnEnd(): void {
    if (this.state === CLOSED || this.socket.isClosed) return;
    try {
      this.session.isFlowing = this.socket.flush();
      this.session.settle();
    } catch (error) {
      this.onInternalError(error as Error);
      this.destroy();
    }
  }

  onSettings(): void {
    if (this.state === OPEN) this.roomFreed();
  }

  onPingAck(): void {}

  onGoAway(code: number, debug: string): void {
    if (code !== Http2Error.NO_ERROR) this.protest = `${errorName(code)} ${debug}`.trim();
    if (this.state === GREETING) this.end('goes away');
    else this.retire();
  }

  private get isKept(): boolean {
    const { backendIdleMs, backendKeepAlive } = this.context.settings;
    return backendKeepAlive && backendIdleMs > 0;
  }

  private ready(): void {
    const { greeting } = this;
    this.state = OPEN;
    this.greeting = null;
    this.context.deadlines.add(this);
    this.setIdleDeadline();
    greeting?.onReady(this);
  }

  private roomFreed(): void {
    this.setIdleDeadline();
    this.pool.roomFreed(this);
  }

  private setIdleDeadline(): void {
    // That of the ping stands.
    if (this.isSuspect) return;
    const nowMs = this.context.clock.monotonicMs();
    this.idleSinceMs = nowMs;
    this.deadlineMs = this.isIdle
      ? Math.min(this.endsMs, nowMs + this.context.settings.backendIdleMs)
      : Number.POSITIVE_INFINITY;
  }

  /** Ends the connection in an orderly way. */
  private leave(): void {
    this.session.end(Http2Error.NO_ERROR, 'idle');
    this.end('idle');
  }

  /** The backend has broken the protocol. */
  private get isBroken(): boolean {
    return (this.session.ended ?? Http2Error.NO_ERROR) !== Http2Error.NO_ERROR;
  }

  private end(detail: string): void {
    this.socket.flush();
    this.lose(detail);
    this.socket.destroy();
  }

  /** Nothing more comes: its requests fail, once, and its place in the pool is free. */
  private lose(detail: string, error: NodeJS.ErrnoException | null = null): void {
    const { context, greeting, protest } = this;
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.lossDetail = protest === '' ? detail : `${detail}: ${protest}`;
    if (greeting !== null) {
      this.greeting = null;
      greeting.onNotReady(this.isBroken ? detail : null, error);
      return;
    }
    context.deadlines.remove(this);
    context.counters.backendConnectionsOpen--;
    this.pool.closed(this);
    this.session.abandon(Http2Error.NO_ERROR, detail);
  }

  private endedWhileIdle(): void {
    this.pool.endedByBackend(this.context.clock.monotonicMs() - this.idleSinceMs);
  }
}

function endOf({ ended, endedDetail }: Session): string {
  return `${errorName(ended ?? Http2Error.NO_ERROR)}: ${endedDetail}`;
}
