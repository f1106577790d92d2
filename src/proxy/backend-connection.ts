import type { ErrorCode } from '../base/errors.ts';
import { AnswerHead } from '../http1/answer-head.ts';
import { BodyReader, type BodySink } from '../http1/body.ts';
import { Framing, NEED_MORE, REFUSED } from '../http1/head.ts';
import type { ByteSocket, SocketOwner } from '../sockets/byte-socket.ts';
import { PlainSocket } from '../sockets/plain-socket.ts';
import { StreamSocket } from '../sockets/stream-socket.ts';
import type { BackendPool, ConnectionTaker } from './backend-pool.ts';
import { inactivityDeadline, type ProxyContext } from './context.ts';
import type { Timed } from './deadlines.ts';
import { HeldBytes } from './held-bytes.ts';

/** What a connection tells the exchange that it serves. */
export interface AnswerReceiver {
  readonly method: string;
  onInterim(answer: AnswerHead): void;
  onAnswer(answer: AnswerHead): void;
  onAnswerData(bytes: Buffer, start: number, end: number): void;
  /** The views of one read have all been handed over: write what came of them. */
  onAnswerFlush(): void;
  /** The answer is whole. The connection has let go of the exchange, and is in the pool again if it can be. */
  onAnswerEnd(trailerLines: string): void;
  /** What stands against a 101 as the answer; empty where the connection becomes a tunnel with it. */
  switchProblem(answer: AnswerHead): string;
  /** The connection is a tunnel from here on, and no more this object's. `fromBackend` is valid during the call. */
  onSwitch(answer: AnswerHead, backend: ByteSocket, fromBackend: Buffer): void;
  /** No whole answer will come. @param answered whether any byte of the answer was seen. */
  onAttemptFailed(code: ErrorCode, detail: string, answered: boolean): void;
  onRequestDrain(): void;
}

const CONNECTING = 0;
const IDLE = 1;
const AWAITING = 2;
const IN_BODY = 3;
const CLOSED = 4;

/**
 * One connection to a backend, speaking HTTP/1.1: one exchange at a time, back to the pool only after an answer that
 * ended cleanly with nothing behind it (design 6.4).
 */
export class BackendConnection implements SocketOwner, BodySink, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  /** Monotonic ms at which it became idle. */
  idleSinceMs = 0;
  /** Whether it has been kept before the exchange it serves now, so that its end may have nothing to do with that. */
  reused = false;
  private readonly pool: BackendPool;
  private readonly context: ProxyContext;
  private readonly socket: ByteSocket;
  private readonly answer = new AnswerHead();
  private readonly body: BodyReader;
  private readonly heldHead = new HeldBytes();
  private taker: ConnectionTaker | null;
  private receiver: AnswerReceiver | null = null;
  private state = CONNECTING;
  private requestChunked = false;
  private requestSent = false;
  private interimAnswers = 0;
  private answered = false;
  private hasLeftPool = false;

  private constructor(pool: BackendPool, taker: ConnectionTaker, context: ProxyContext) {
    const { settings } = context;
    this.pool = pool;
    this.taker = taker;
    this.context = context;
    this.body = new BodyReader(settings.headBytesMax);
    this.socket = connectTo(pool, this, context);
    this.deadlineMs = context.clock.monotonicMs() + settings.connectTimeoutMs;
    context.deadlines.add(this);
    context.counters.backendConnections++;
    context.counters.backendConnectionsOpen++;
  }

  /** Connects; the taker hears of it later. */
  static open(pool: BackendPool, taker: ConnectionTaker, context: ProxyContext): BackendConnection {
    return new BackendConnection(pool, taker, context);
  }

  get isClosed(): boolean {
    return this.socket.isClosed;
  }

  get isInBody(): boolean {
    return this.state === IN_BODY && this.receiver !== null;
  }

  /** While connecting: if it is for this taker, the taker is gone. The connection goes on, for the next one. */
  release(taker: ConnectionTaker): void {
    if (this.taker !== taker) return;
    this.taker = null;
    if (this.context.draining) this.destroy();
  }

  /**
   * Begins an exchange: queues the head; the caller adds what it has of the body, and flushes.
   * @param framing of the request's body; with CHUNKED, data is put into chunks here.
   */
  send(receiver: AnswerReceiver, head: string, framing: Framing): void {
    this.receiver = receiver;
    this.state = AWAITING;
    this.interimAnswers = 0;
    this.answered = false;
    this.requestChunked = framing === Framing.CHUNKED;
    this.requestSent = framing === Framing.NONE;
    this.answer.reset();
    this.answer.toHead = receiver.method === 'HEAD';
    this.socket.append(head);
    this.expectAnswer();
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
    this.expectAnswer();
  }

  /** @returns false where the backend does not keep up: `onRequestDrain` follows. */
  flush(): boolean {
    const flowing = this.socket.flush();
    // While the backend does not take the request, it is the one that is waited for.
    if (!flowing) this.deadlineMs = inactivityDeadline(this.context);
    return flowing;
  }

  /** The client is slow: reads no more of the answer, and does not hold that against the backend. */
  pauseAnswer(): void {
    this.socket.pause();
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  resumeAnswer(): void {
    this.expectAnswer();
    this.socket.resume();
  }

  /** The exchange does not want the answer any more. */
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
    const { pool, taker } = this;
    this.taker = null;
    pool.connected(this);
    if (taker !== null) taker.onConnection(this);
    else pool.giveBack(this);
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.receiver === null) {
      // Never read as the next answer (CVE-2026-48931).
      if (this.state === IDLE) this.context.counters.backendConnectionsPoisoned++;
      this.destroy();
      return;
    }
    if (this.state === AWAITING) {
      this.answered = true;
      if (this.heldHead.isEmpty) this.readHeads(bytes, 0, length);
      else {
        this.heldHead.add(bytes, 0, length);
        const held = this.heldHead.take();
        this.readHeads(held, 0, held.length);
      }
    } else {
      this.readBody(bytes, 0, length);
    }
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.receiver?.onAnswerData(bytes, start, end);
  }

  onEnd(): void {
    if (this.receiver === null) {
      this.destroy();
    } else if (this.state === IN_BODY && this.body.connectionEnded()) {
      this.complete(false);
    } else {
      this.fail(this.state === IN_BODY ? 'BACKEND_ANSWER_TRUNCATED' : 'BACKEND_RESET', 'connection ended');
    }
  }

  onDrain(): void {
    if (this.receiver === null) return;
    if (!this.requestSent) this.deadlineMs = Number.POSITIVE_INFINITY;
    this.receiver.onRequestDrain();
  }

  onFinished(): void {}

  onDefect(error: Error): void {
    this.context.onProblem('internal error at a backend connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    const { state, taker } = this;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.context.counters.backendConnectionsOpen--;
    this.taker = null;
    const detail = error?.code ?? 'closed';
    if (this.receiver !== null) {
      this.fail(state === IN_BODY ? 'BACKEND_ANSWER_TRUNCATED' : 'BACKEND_RESET', detail);
    }
    this.leavePool();
    if (taker !== null) {
      const code = connectErrorCode(detail, this.pool.tlsName !== null);
      // A session that does not fit any more is not offered again.
      this.pool.tlsSession = null;
      taker.onNoConnection(code, `${this.pool.address}: ${detail}`);
    }
  }

  onDeadline(): void {
    if (this.state === CONNECTING) {
      const { taker } = this;
      this.taker = null;
      this.destroy();
      taker?.onNoConnection('BACKEND_CONNECT_TIMEOUT', `${this.pool.address} did not accept the connection`);
    } else if (this.receiver !== null) {
      const truncated = this.state === IN_BODY;
      this.fail(truncated ? 'BACKEND_ANSWER_TRUNCATED' : 'BACKEND_TIMEOUT', `${this.pool.address} is silent`);
    } else {
      this.destroy();
    }
  }

  private readHeads(bytes: Buffer, start: number, end: number): void {
    const { answer, context } = this;
    let at = start;
    for (;;) {
      const length = answer.read(bytes, at, end, context.settings);
      if (length === NEED_MORE) {
        if (at < end) this.heldHead.add(bytes, at, end);
        this.expectAnswer();
        this.receiver?.onAnswerFlush();
        return;
      }
      if (length === REFUSED) {
        this.fail('BACKEND_ANSWER_INVALID', answer.refusal);
        return;
      }
      at += length;
      if (!answer.isInterim) break;
      if (answer.status === 101) {
        this.switchToTunnel(bytes.subarray(at, end));
        return;
      }
      if (++this.interimAnswers > context.settings.interimAnswersMax) {
        this.fail('BACKEND_ANSWER_INVALID', 'too many interim answers');
        return;
      }
      this.receiver?.onInterim(answer);
      if (this.receiver === null) return;
      answer.reset();
    }
    this.heldHead.clear();
    this.state = IN_BODY;
    this.body.start(answer.framing, answer.contentLength);
    this.receiver?.onAnswer(answer);
    this.readBody(bytes, at, end);
  }

  /** Lets go of the socket: neither the pool nor the limits of requests have to do with it any more. */
  private switchToTunnel(fromBackend: Buffer): void {
    const { answer, receiver, socket } = this;
    if (receiver === null) return;
    const problem = receiver.switchProblem(answer);
    if (problem !== '') {
      this.fail('BACKEND_ANSWER_INVALID', problem);
      return;
    }
    this.receiver = null;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.context.counters.backendConnectionsOpen--;
    this.leavePool();
    receiver.onSwitch(answer, socket, fromBackend);
  }

  private readBody(bytes: Buffer, start: number, end: number): void {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    if (this.receiver === null) return;
    if (body.refusal !== '') {
      this.fail('BACKEND_ANSWER_INVALID', body.refusal);
    } else if (body.done) {
      this.complete(at === end);
    } else {
      this.deadlineMs = inactivityDeadline(this.context);
      this.receiver.onAnswerFlush();
    }
  }

  /** @param clean whether nothing came behind the answer. */
  private complete(clean: boolean): void {
    const { answer, body, receiver } = this;
    if (receiver === null) return;
    this.receiver = null;
    const reusable =
      clean &&
      answer.keepAlive &&
      this.requestSent &&
      body.framing !== Framing.CLOSE &&
      this.context.settings.backendKeepAlive &&
      this.context.settings.backendIdleMs > 0 &&
      !this.context.draining &&
      !this.socket.isClosed;
    if (reusable) this.pool.giveBack(this);
    else this.destroy();
    receiver.onAnswerEnd(body.trailers === null ? '' : body.trailers.forwardable);
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
  private expectAnswer(): void {
    this.deadlineMs = this.requestSent ? inactivityDeadline(this.context) : Number.POSITIVE_INFINITY;
  }
}

function connectTo(pool: BackendPool, owner: SocketOwner, { backendTls, settings }: ProxyContext): ByteSocket {
  const { hostname, port, tlsName: serverName } = pool;
  const { writeBufferBytesMax } = settings;
  if (serverName === null) return PlainSocket.connecting(hostname, port, owner, writeBufferBytesMax);
  const target = { hostname, port, serverName };
  return StreamSocket.connectingTls(target, owner, writeBufferBytesMax, backendTls, pool.tlsSession, (session) => {
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
