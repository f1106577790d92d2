import type { ErrorCode } from '../../base/errors.ts';
import { invariant } from '../../base/invariant.ts';
import { CR, LF } from '../../http/bytes.ts';
import { type FieldEdits, FieldLines } from '../../http/field-lines.ts';
import type { RequestView } from '../../http/message.ts';
import { BodyReader, type BodySink } from '../../http1/body.ts';
import { requestHeadText } from '../../http1/forward-request.ts';
import { Framing, NEED_MORE, REFUSED } from '../../http1/head.ts';
import { PartialHead } from '../../http1/partial-head.ts';
import { ResponseHead } from '../../http1/response-head.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { keyOf, switchProblem, upgradeProblem } from '../../websocket/handshake.ts';
import type { BackendStream, ResponseSink } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { BackendPool } from './backend-pool.ts';
import { InformationalCount } from './informational-count.ts';

const IDLE = 0;
const AWAITING = 1;
const IN_BODY = 2;
const CLOSED = 3;

/**
 * One HTTP/1.1 connection to a backend. It serves one exchange at a time, and returns to the pool only after a response
 * that ended cleanly with nothing behind it.
 */
export class Http1BackendConnection implements BackendStream, SocketHandler, BodySink, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  /** Monotonic ms since when it has been idle. */
  idleSinceMs = 0;
  /** How long it had been idle before its current exchange, in ms. */
  private wasIdleMs = 0;
  /**
   * Whether the connection was kept before it got its current exchange: if so, its end may be unrelated to that
   * exchange.
   */
  reused = false;
  readonly mayBeRefused = false;
  readonly address: string;
  /** Monotonic ms after which it takes no further request. */
  private readonly endsMs: number;
  private readonly pool: BackendPool;
  private readonly context: ProxyContext;
  private readonly socket: ByteSocket;
  private readonly response = new ResponseHead();
  private readonly body: BodyReader;
  private readonly partialHead = new PartialHead();
  private sink: ResponseSink | null = null;
  /** The protocol to which the request asks to switch, and the key if that is WebSocket. */
  private protocol: string | null = null;
  private webSocketKey = '';
  private state = IDLE;
  private requestChunked = false;
  private requestSent = false;
  private readonly informational = new InformationalCount();
  private responded = false;
  private hasLeftPool = false;
  /** The backend authenticates the connection, for the client that it serves now. */
  private isBound = false;

  /** @param socket connected to `address`; the caller hands it over. */
  constructor(pool: BackendPool, socket: ByteSocket, address: string, context: ProxyContext) {
    this.address = address;
    this.endsMs = context.clock.monotonicMs() + context.settings.backendAgeMs;
    this.pool = pool;
    this.socket = socket;
    this.context = context;
    this.body = new BodyReader(context.settings.responseLimits.headBytesMax, true);
    context.deadlines.add(this);
  }

  get isClosed(): boolean {
    return this.socket.isClosed;
  }

  get isStreaming(): boolean {
    return this.state === IN_BODY && this.sink !== null;
  }

  get isFree(): boolean {
    return this.state === IDLE && !this.socket.isClosed;
  }

  start(sink: ResponseSink, request: RequestView, edits: FieldEdits): void {
    if (this.isBound) this.pool.leavesBound(this);
    if (request.authenticatesConnection) this.isBound = true;
    invariant(this.sink === null && this.state !== CLOSED, 'a stream starts on a connection that is free');
    this.sink = sink;
    this.state = AWAITING;
    this.wasIdleMs = this.reused ? this.context.clock.monotonicMs() - this.idleSinceMs : 0;
    this.informational.reset();
    this.responded = false;
    this.requestChunked = request.bodyLength < 0;
    this.requestSent = request.bodyLength === 0;
    this.protocol = request.protocol;
    this.webSocketKey = request.protocol === 'websocket' ? keyOf(request) : '';
    this.response.reset();
    this.response.toHead = request.method === 'HEAD';
    this.socket.append(requestHeadText(request, edits, this.keepsAlive));
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

  sendText(text: string): void {
    if (text === '') return;
    this.socket.append(this.requestChunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text);
  }

  sendEnd(trailers: FieldLines | null): void {
    if (this.requestChunked) this.socket.append(`0\r\n${trailers === null ? '' : trailers.text}\r\n`);
    this.requestSent = true;
    this.expectResponse();
  }

  flush(): boolean {
    const flowing = this.socket.flush();
    // While the backend does not accept the request, the backend's deadline applies.
    if (!flowing) this.deadlineMs = this.deadlineIn(this.sink?.timeouts.responseMs);
    return flowing;
  }

  pauseResponse(): void {
    this.socket.pause();
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  resumeResponse(): void {
    if (this.state === IN_BODY) this.expectMore();
    else this.expectResponse();
    this.socket.resume();
  }

  cancel(): void {
    this.sink = null;
    this.destroy();
  }

  destroy(): void {
    this.leavePool();
    this.socket.destroy();
  }

  becomeIdle(): void {
    this.state = IDLE;
    this.idleSinceMs = this.context.clock.monotonicMs();
    this.deadlineMs = Math.min(this.endsMs, this.idleSinceMs + this.context.settings.backendIdleMs);
  }

  /** Authentication of a connection needs a connection that lasts. */
  private get keepsAlive(): boolean {
    const { backendIdleMs, backendKeepAlive } = this.context.settings;
    return this.isBound || (backendKeepAlive && backendIdleMs > 0);
  }

  onConnected(): void {}

  onBytes(bytes: Buffer, length: number): void {
    if (this.sink === null) {
      // Bytes nobody asked for must never be read as the next response (CVE-2026-48931).
      if (this.state === IDLE) {
        this.context.counters.backendConnectionsUnsolicited++;
        // Some say 408 before they end it.
        this.endedWhileIdle();
      }
      this.destroy();
      return;
    }
    if (this.state === AWAITING) {
      this.responded = true;
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
    this.sink?.onData(bytes, start, end);
  }

  onEnd(): void {
    if (this.sink === null) {
      this.endedWhileIdle();
      this.destroy();
    } else if (this.state === IN_BODY && this.body.connectionEnded()) {
      this.complete(false);
    } else {
      this.fail(this.state === IN_BODY ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_RESET', 'connection ended');
    }
  }

  onDrain(): void {
    if (this.sink === null) return;
    if (!this.requestSent) this.deadlineMs = Number.POSITIVE_INFINITY;
    this.sink.onDrain();
  }

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.context.onInternalError('a connection to a backend', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    const { state } = this;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    const detail = error?.code ?? 'closed';
    // An orderly end has come by `onEnd`, and after `destroy` the connection has left its pool.
    if (state === IDLE && this.sink === null && error !== null) this.endedWhileIdle();
    if (this.sink !== null) {
      this.fail(state === IN_BODY ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_RESET', detail);
    }
    this.leavePool();
  }

  onDeadline(): void {
    if (this.sink !== null) {
      const truncated = this.state === IN_BODY;
      this.fail(truncated ? 'BACKEND_RESPONSE_SILENT' : 'BACKEND_TIMEOUT', `${this.pool.address} is silent`);
    } else {
      this.destroy();
    }
  }

  private readHeads(bytes: Buffer, start: number, end: number): void {
    const { response, context, informational } = this;
    let at = start;
    for (;;) {
      // Some servers end an informational response with one more empty line.
      if (informational.total > 0 && !response.started) at = afterEmptyLine(bytes, at, end);
      const length = isLoneReturn(bytes, at, end)
        ? NEED_MORE
        : response.read(bytes, at, end, context.settings.responseLimits);
      if (length === NEED_MORE) {
        if (at < end) this.partialHead.add(bytes, at, end);
        this.expectResponse();
        this.sink?.onFlush();
        return;
      }
      if (length === REFUSED) {
        this.fail(
          isLimit(response.refusal) ? 'BACKEND_RESPONSE_TOO_LARGE' : 'BACKEND_RESPONSE_INVALID',
          response.refusal,
        );
        return;
      }
      at += length;
      if (!response.isInformational) break;
      if (response.status === 101) {
        this.switchToTunnel(bytes.subarray(at, end));
        return;
      }
      if (
        !informational.count(response.status, context.clock.monotonicMs(), context.settings.informationalResponsesMax)
      ) {
        this.fail('BACKEND_RESPONSE_TOO_LARGE', 'too many informational responses');
        return;
      }
      this.sink?.onInformational(response);
      if (this.sink === null) return;
      response.reset();
    }
    this.partialHead.clear();
    this.state = IN_BODY;
    this.body.start(response.framing, response.contentLength);
    if (response.authenticatesConnection) this.isBound = true;
    this.sink?.onHead(response);
    this.readBody(bytes, at, end);
  }

  private switchProblem(): string {
    const { protocol, response } = this;
    if (protocol === null) return 'no upgrade was requested';
    if (!this.requestSent) return 'a switch within the request';
    return protocol === 'websocket' ? switchProblem(response, this.webSocketKey) : upgradeProblem(response, protocol);
  }

  /** Hands the socket to the tunnel. From now on, neither the pool nor the limits for requests apply to it. */
  private switchToTunnel(fromBackend: Buffer): void {
    const { response, sink, socket } = this;
    if (sink === null) return;
    const problem = this.switchProblem();
    if (problem !== '') {
      this.fail('BACKEND_RESPONSE_INVALID', problem);
      return;
    }
    this.sink = null;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.leavePool();
    sink.onSwitch(response, { stream: socket, received: fromBackend, hasEnded: false });
  }

  private readBody(bytes: Buffer, start: number, end: number): void {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    if (this.sink === null) return;
    if (body.refusal !== '') {
      this.fail(isLimit(body.refusal) ? 'BACKEND_RESPONSE_TOO_LARGE' : 'BACKEND_RESPONSE_INVALID', body.refusal);
    } else if (body.done) {
      this.complete(at === end);
    } else {
      this.expectMore();
      this.sink.onFlush();
    }
  }

  /** @param clean whether nothing followed the response. */
  private complete(clean: boolean): void {
    const { response, body, sink } = this;
    if (sink === null) return;
    this.sink = null;
    const reusable =
      clean &&
      response.keepAlive &&
      this.requestSent &&
      body.framing !== Framing.CLOSE &&
      this.keepsAlive &&
      !this.context.draining &&
      !this.socket.isClosed &&
      this.context.deadlines.nowMs < this.endsMs &&
      this.pool.addresses.includes(this.address);
    if (!reusable) {
      this.destroy();
    } else if (this.isBound) {
      this.stayBound();
      sink.onBound(this);
    } else {
      // Even if it serves the next request in the queue at once.
      this.idleSinceMs = this.context.clock.monotonicMs();
      this.pool.giveBack(this);
    }
    sink.onEnd(body.trailers === null ? null : new FieldLines(body.trailers.forwardable));
  }

  /** Waits for the next request of the same client, whose connection ends this one. */
  private stayBound(): void {
    this.state = IDLE;
    this.idleSinceMs = this.context.clock.monotonicMs();
    this.reused = true;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.pool.staysBound(this);
  }

  private fail(code: ErrorCode, detail: string): void {
    const { sink } = this;
    this.sink = null;
    // It had ended before the request reached it.
    if (code === 'BACKEND_RESET' && this.reused && !this.responded) this.pool.endedByBackend(this.wasIdleMs);
    this.destroy();
    const progress = this.responded ? 'responded' : 'sent';
    sink?.onFailed({ code, detail, reused: this.reused, progress });
  }

  private endedWhileIdle(): void {
    if (this.hasLeftPool) return;
    this.pool.endedByBackend(this.context.clock.monotonicMs() - this.idleSinceMs);
  }

  /** Frees its place in the pool at once, without waiting for the socket to close. */
  private leavePool(): void {
    if (this.hasLeftPool) return;
    this.hasLeftPool = true;
    this.context.counters.backendConnectionsOpen--;
    this.pool.closed(this);
  }

  /** Of an event stream, the next part may come much later than the head. */
  private expectMore(): void {
    this.deadlineMs = this.deadlineIn(this.sink?.timeouts.responseIdleMs);
  }

  /** The backend has no deadline while the client still sends. */
  private expectResponse(): void {
    this.deadlineMs = this.requestSent ? this.deadlineIn(this.sink?.timeouts.responseMs) : Number.POSITIVE_INFINITY;
  }

  /** @param ms 0 and undefined: no limit. */
  private deadlineIn(ms = 0): number {
    return ms === 0 ? Number.POSITIVE_INFINITY : this.context.clock.monotonicMs() + ms;
  }
}

/** Whether a response was refused for its size alone. */
function isLimit(refusal: string): boolean {
  return refusal === 'head too large' || refusal === 'too many fields';
}

function afterEmptyLine(bytes: Buffer, start: number, end: number): number {
  if (start + 1 < end && bytes[start] === CR && bytes[start + 1] === LF) return start + 2;
  return start < end && bytes[start] === LF ? start + 1 : start;
}

/** Only the next byte shows whether it is an empty line. */
function isLoneReturn(bytes: Buffer, start: number, end: number): boolean {
  return start + 1 === end && bytes[start] === CR;
}
