import type { ErrorCode } from '../../base/errors.ts';
import { BodyReader, type BodySink } from '../../http1/body.ts';
import { Framing, NEED_MORE, REFUSED } from '../../http1/head.ts';
import { PartialHead } from '../../http1/partial-head.ts';
import { ResponseHead } from '../../http1/response-head.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import { inactivityDeadline, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { BackendPool, ConnectionWaiter } from './pool.ts';

/** What a connection tells the exchange that it serves. */
export interface ResponseSink {
  readonly method: string;
  onInformational(response: ResponseHead): void;
  onResponse(response: ResponseHead): void;
  onResponseData(bytes: Buffer, start: number, end: number): void;
  /** The views of one read have all been handed over: write what came of them. */
  onResponseFlush(): void;
  /** The response is whole. The connection has let go of the exchange, and is in the pool again if it can be. */
  onResponseEnd(trailerLines: string): void;
  /** What stands against a 101 as the response; empty where the connection becomes a tunnel with it. */
  switchProblem(response: ResponseHead): string;
  /** The connection is a tunnel from here on, and no more this object's. `fromBackend` is valid during the call. */
  onSwitch(response: ResponseHead, backend: ByteSocket, fromBackend: Buffer): void;
  /** No whole response will come. @param answered whether any byte of the response was seen. */
  onAttemptFailed(code: ErrorCode, detail: string, answered: boolean): void;
  onRequestDrain(): void;
}

const CONNECTING = 0;
const IDLE = 1;
const AWAITING = 2;
const IN_BODY = 3;
const CLOSED = 4;

/**
 * One connection to a backend, speaking HTTP/1.1: one exchange at a time, back to the pool only after a response that
 * ended cleanly with nothing behind it (design 6.4).
 */
export class BackendConnection implements SocketHandler, BodySink, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  /** Monotonic ms at which it became idle. */
  idleSinceMs = 0;
  /** Whether it has been kept before the exchange it serves now, so that its end may have nothing to do with that. */
  reused = false;
  private readonly pool: BackendPool;
  private readonly context: ProxyContext;
  private readonly socket: ByteSocket;
  private readonly response = new ResponseHead();
  private readonly body: BodyReader;
  private readonly partialHead = new PartialHead();
  private waiter: ConnectionWaiter | null;
  private receiver: ResponseSink | null = null;
  private state = CONNECTING;
  private requestChunked = false;
  private requestSent = false;
  private informationalResponses = 0;
  private answered = false;
  private hasLeftPool = false;

  private constructor(pool: BackendPool, waiter: ConnectionWaiter, context: ProxyContext) {
    const { settings } = context;
    this.pool = pool;
    this.waiter = waiter;
    this.context = context;
    this.body = new BodyReader(settings.headBytesMax);
    this.socket = connectTo(pool, this, context);
    this.deadlineMs = context.clock.monotonicMs() + settings.connectTimeoutMs;
    context.deadlines.add(this);
    context.counters.backendConnections++;
    context.counters.backendConnectionsOpen++;
  }

  /** Connects; the waiter hears of it later. */
  static open(pool: BackendPool, waiter: ConnectionWaiter, context: ProxyContext): BackendConnection {
    return new BackendConnection(pool, waiter, context);
  }

  get isClosed(): boolean {
    return this.socket.isClosed;
  }

  get isInBody(): boolean {
    return this.state === IN_BODY && this.receiver !== null;
  }

  /** While connecting: if it is for this waiter, the waiter is gone. The connection goes on, for the next one. */
  release(waiter: ConnectionWaiter): void {
    if (this.waiter !== waiter) return;
    this.waiter = null;
    if (this.context.draining) this.destroy();
  }

  /**
   * Begins an exchange: queues the head; the caller adds what it has of the body, and flushes.
   * @param framing of the request's body; with CHUNKED, data is put into chunks here.
   */
  send(receiver: ResponseSink, head: string, framing: Framing): void {
    this.receiver = receiver;
    this.state = AWAITING;
    this.informationalResponses = 0;
    this.answered = false;
    this.requestChunked = framing === Framing.CHUNKED;
    this.requestSent = framing === Framing.NONE;
    this.response.reset();
    this.response.toHead = receiver.method === 'HEAD';
    this.socket.append(head);
    this.expectResponse();
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    // A chunk of no bytes would end the body.
    if (end === start) return;
    if (!this.requestChunked) {
      this.socket.appendBytes(bytes, start, end);
      return;
    }
    this.socket.append(`${(end - start).toString(16)}\r\n`);
    this.socket.appendBytes(bytes, start, end);
    this.socket.append('\r\n');
  }

  /** As `sendData`, of latin1 text. */
  sendText(text: string): void {
    if (text === '') return;
    this.socket.append(this.requestChunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text);
  }

  sendEnd(trailerLines: string): void {
    if (this.requestChunked) this.socket.append(`0\r\n${trailerLines}\r\n`);
    this.requestSent = true;
    this.expectResponse();
  }

  /** @returns false where the backend does not keep up: `onRequestDrain` follows. */
  flush(): boolean {
    const flowing = this.socket.flush();
    // While the backend does not take the request, it is the one that is waited for.
    if (!flowing) this.deadlineMs = inactivityDeadline(this.context);
    return flowing;
  }

  /** The client is slow: reads no more of the response, and does not hold that against the backend. */
  pauseResponse(): void {
    this.socket.pause();
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  resumeResponse(): void {
    this.expectResponse();
    this.socket.resume();
  }

  /** The exchange does not want the response any more. */
  abandon(): void {
    this.receiver = null;
    this.destroy();
  }

  destroy(): void {
    this.leavePool();
    this.socket.destroy();
  }

  becomeIdle(): void {
    this.state = IDLE;
    this.idleSinceMs = this.context.clock.monotonicMs();
    this.deadlineMs = this.idleSinceMs + this.context.settings.backendIdleMs;
  }

  onConnected(): void {
    const { pool, waiter } = this;
    this.waiter = null;
    pool.connected(this);
    if (waiter !== null) waiter.onConnection(this);
    else pool.giveBack(this);
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.receiver === null) {
      // Never read as the next response (CVE-2026-48931).
      if (this.state === IDLE) this.context.counters.backendConnectionsUnsolicited++;
      this.destroy();
      return;
    }
    if (this.state === AWAITING) {
      this.answered = true;
      if (this.partialHead.isEmpty) this.readHeads(bytes, 0, length);
      else {
        this.partialHead.add(bytes, 0, length);
        const kept = this.partialHead.take();
        this.readHeads(kept, 0, kept.length);
      }
    } else {
      this.readBody(bytes, 0, length);
    }
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.receiver?.onResponseData(bytes, start, end);
  }

  onEnd(): void {
    if (this.receiver === null) {
      this.destroy();
    } else if (this.state === IN_BODY && this.body.connectionEnded()) {
      this.complete(false);
    } else {
      this.fail(this.state === IN_BODY ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_RESET', 'connection ended');
    }
  }

  onDrain(): void {
    if (this.receiver === null) return;
    if (!this.requestSent) this.deadlineMs = Number.POSITIVE_INFINITY;
    this.receiver.onRequestDrain();
  }

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.context.onProblem('internal error at a backend connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    const { state, waiter } = this;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.context.counters.backendConnectionsOpen--;
    this.waiter = null;
    const detail = error?.code ?? 'closed';
    if (this.receiver !== null) {
      this.fail(state === IN_BODY ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_RESET', detail);
    }
    this.leavePool();
    if (waiter !== null) {
      const code = connectErrorCode(detail, this.pool.tlsName !== null);
      // A session that does not fit any more is not offered again.
      this.pool.tlsSession = null;
      waiter.onNoConnection(code, `${this.pool.address}: ${detail}`);
    }
  }

  onDeadline(): void {
    if (this.state === CONNECTING) {
      const { waiter } = this;
      this.waiter = null;
      this.destroy();
      waiter?.onNoConnection('BACKEND_CONNECT_TIMEOUT', `${this.pool.address} did not accept the connection`);
    } else if (this.receiver !== null) {
      const truncated = this.state === IN_BODY;
      this.fail(truncated ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_TIMEOUT', `${this.pool.address} is silent`);
    } else {
      this.destroy();
    }
  }

  private readHeads(bytes: Buffer, start: number, end: number): void {
    const { response, context } = this;
    let at = start;
    for (;;) {
      const length = response.read(bytes, at, end, context.settings);
      if (length === NEED_MORE) {
        if (at < end) this.partialHead.add(bytes, at, end);
        this.expectResponse();
        this.receiver?.onResponseFlush();
        return;
      }
      if (length === REFUSED) {
        this.fail('BACKEND_RESPONSE_INVALID', response.refusal);
        return;
      }
      at += length;
      if (!response.isInformational) break;
      if (response.status === 101) {
        this.switchToTunnel(bytes.subarray(at, end));
        return;
      }
      if (++this.informationalResponses > context.settings.informationalResponsesMax) {
        this.fail('BACKEND_RESPONSE_INVALID', 'too many informational responses');
        return;
      }
      this.receiver?.onInformational(response);
      if (this.receiver === null) return;
      response.reset();
    }
    this.partialHead.clear();
    this.state = IN_BODY;
    this.body.start(response.framing, response.contentLength);
    this.receiver?.onResponse(response);
    this.readBody(bytes, at, end);
  }

  /** Lets go of the socket: neither the pool nor the limits of requests have to do with it any more. */
  private switchToTunnel(fromBackend: Buffer): void {
    const { response, receiver, socket } = this;
    if (receiver === null) return;
    const problem = receiver.switchProblem(response);
    if (problem !== '') {
      this.fail('BACKEND_RESPONSE_INVALID', problem);
      return;
    }
    this.receiver = null;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.context.counters.backendConnectionsOpen--;
    this.leavePool();
    receiver.onSwitch(response, socket, fromBackend);
  }

  private readBody(bytes: Buffer, start: number, end: number): void {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    if (this.receiver === null) return;
    if (body.refusal !== '') {
      this.fail('BACKEND_RESPONSE_INVALID', body.refusal);
    } else if (body.done) {
      this.complete(at === end);
    } else {
      this.deadlineMs = inactivityDeadline(this.context);
      this.receiver.onResponseFlush();
    }
  }

  /** @param clean whether nothing came behind the response. */
  private complete(clean: boolean): void {
    const { response, body, receiver } = this;
    if (receiver === null) return;
    this.receiver = null;
    const reusable =
      clean &&
      response.keepAlive &&
      this.requestSent &&
      body.framing !== Framing.CLOSE &&
      this.context.settings.backendKeepAlive &&
      this.context.settings.backendIdleMs > 0 &&
      !this.context.draining &&
      !this.socket.isClosed;
    if (reusable) this.pool.giveBack(this);
    else this.destroy();
    receiver.onResponseEnd(body.trailers === null ? '' : body.trailers.forwardable);
  }

  private fail(code: ErrorCode, detail: string): void {
    const { receiver } = this;
    this.receiver = null;
    this.destroy();
    receiver?.onAttemptFailed(code, detail, this.answered);
  }

  /** Its place is free for another one, at once rather than when the socket has closed. */
  private leavePool(): void {
    if (this.hasLeftPool) return;
    this.hasLeftPool = true;
    this.pool.closed(this);
  }

  /** While the client still sends, it is the client that is waited for. */
  private expectResponse(): void {
    this.deadlineMs = this.requestSent ? inactivityDeadline(this.context) : Number.POSITIVE_INFINITY;
  }
}

function connectTo(pool: BackendPool, handler: SocketHandler, { backendTls, settings }: ProxyContext): ByteSocket {
  const { hostname, port, tlsName: serverName } = pool;
  const { writeBufferBytesMax } = settings;
  if (serverName === null) return PlainSocket.connecting(hostname, port, handler, writeBufferBytesMax);
  const target = { hostname, port, serverName };
  return StreamSocket.connectingTls(target, handler, writeBufferBytesMax, backendTls, pool.tlsSession, (session) => {
    pool.tlsSession = session;
  });
}

/** What stands in the way of a connection: the backend, its certificate, or this machine. */
function connectErrorCode(detail: string, isTls: boolean): ErrorCode {
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
      // Of TLS and of certificates there are too many to name.
      return isTls ? 'BACKEND_TLS' : 'BACKEND_CONNECT_REFUSED';
  }
}
