import type { ErrorCode } from '../../base/errors.ts';
import { invariant } from '../../base/invariant.ts';
import { FieldLines } from '../../http/field-lines.ts';
import { BodyReader, type BodySink } from '../../http1/body.ts';
import { Framing, NEED_MORE, REFUSED } from '../../http1/head.ts';
import { PartialHead } from '../../http1/partial-head.ts';
import { RequestHead } from '../../http1/request-head.ts';
import type { Backend } from '../../routing/backend.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { checkHandshake } from '../../websocket/handshake.ts';
import type { Peer } from '../client-identity.ts';
import { drainGraceMs, inactivityDeadline, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { Exchange } from '../exchange.ts';
import type { TunnelEndpoint } from '../server-stream.ts';
import { BodyRate } from './body-rate.ts';
import type { ServerConnection, ServerConnections } from './connections.ts';
import { Http1Stream } from './http1-stream.ts';
import type { ListenerTraits } from './listener-traits.ts';

const BETWEEN = 0;
const IN_HEAD = 1;
const IN_EXCHANGE = 2;
/** The response has ended, but the client has read too little of it for the next request to be processed. */
const UNREAD = 3;
const LINGERING = 4;
const CLOSED = 5;

/** How long, in ms, a connection is still read after its last response, so that no reset overtakes that response. */
const lingerMs = 5000;
/** If inactivity has no limit: the deadline for each byte of a response to a client that has half-closed, in ms. */
const halfClosedMs = 60_000;
/** Pipelined bytes, behind the request in progress, from which on the client is no longer read. */
const pipelinedBytesMin = 8192;
/** How often, in ms, a client that is not read is checked for a reset. */
const peerCheckMs = 1000;
/** Bytes read and discarded while a connection lingers. */
const lingerBytesMax = 16 * 1024 * 1024;

/**
 * One HTTP/1 connection of a client: one exchange after the other, with pipelined requests in order. This class reads;
 * `Http1Stream` writes.
 */
export class Http1Connection implements ServerConnection, SocketHandler, BodySink, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  private readonly peer: Peer;
  private readonly traits: ListenerTraits;
  private readonly context: ProxyContext;
  private readonly connections: ServerConnections;
  /** Set by `attach` right after construction, because the socket needs its handler first. */
  private socket!: ByteSocket;
  private stream!: Http1Stream;
  private readonly head: RequestHead;
  private readonly body: BodyReader;
  /** An incomplete head; during an exchange, the bytes behind its request. */
  private readonly partialHead = new PartialHead();
  private exchange: Exchange | null = null;
  private state = BETWEEN;
  private paused = false;
  private clientEnded = false;
  private reading = false;
  /** Monotonic ms by which the current head must be complete; 0 if none has begun. */
  private headDeadlineMs = 0;
  private lingeredBytes = 0;
  private readonly bodyRate = new BodyRate();

  constructor(peer: Peer, traits: ListenerTraits, connections: ServerConnections, context: ProxyContext) {
    this.peer = peer;
    this.traits = traits;
    this.context = context;
    this.connections = connections;
    this.head = new RequestHead();
    this.body = new BodyReader(context.settings.headBytesMax);
    this.deadlineMs = context.clock.monotonicMs() + context.settings.headTimeoutMs;
  }

  /** Starts to serve a socket whose handler is this connection. */
  attach(socket: ByteSocket): void {
    this.socket = socket;
    this.stream = new Http1Stream(this, this.head, socket, this.peer, this.context);
    this.context.deadlines.add(this);
  }

  drain(): void {
    if (this.state !== BETWEEN) return;
    this.deadlineMs = Math.min(this.deadlineMs, this.context.clock.monotonicMs() + drainGraceMs);
  }

  closeIfIdle(): boolean {
    if (this.state !== BETWEEN) return false;
    this.destroy();
    return true;
  }

  isAt(backend: Backend): boolean {
    return this.exchange?.backend === backend;
  }

  destroy(): void {
    this.leave('connection ended by the proxy');
  }

  get isStreaming(): boolean {
    return this.exchange?.requestComplete === false;
  }

  onBytes(bytes: Buffer, length: number): void {
    switch (this.state) {
      case IN_EXCHANGE:
        this.readDuringExchange(bytes, length);
        break;
      case BETWEEN:
        this.readMessages(bytes, 0, length);
        break;
      case IN_HEAD: {
        this.partialHead.add(bytes, 0, length);
        const kept = this.partialHead.take();
        this.readMessages(kept, 0, kept.length);
        break;
      }
      case LINGERING:
        this.lingeredBytes += length;
        if (this.lingeredBytes > lingerBytesMax) this.destroy();
        break;
      case UNREAD:
        // TLS still delivers the rest of a read after a pause.
        this.partialHead.add(bytes, 0, length);
        break;
    }
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.exchange?.onData(bytes, start, end);
  }

  onEnd(): void {
    this.clientEnded = true;
    const { exchange } = this;
    if (exchange === null || this.state === LINGERING) {
      this.linger();
    } else if (exchange.requestComplete && this.traits.halfClose) {
      // It gets its response, as long as there is progress.
      this.updateDeadline();
    } else {
      // A close of the connection looks the same as one of only the sending side, which hardly any client does.
      this.leave(exchange.requestComplete ? 'closed' : 'ended within the request body');
    }
  }

  onDrain(): void {
    if (this.state === UNREAD) {
      this.awaitNext();
      return;
    }
    this.stream.isBlocked = false;
    this.updateDeadline();
    this.exchange?.onDrain();
  }

  onConnected(): void {}

  onFinished(): void {
    if (this.state === LINGERING) this.deadlineMs = this.context.clock.monotonicMs() + lingerMs;
  }

  onInternalError(error: Error): void {
    this.context.onInternalError('a client connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.partialHead.clear();
    this.connections.delete(this);
    this.exchange?.onAborted('CLIENT_GONE', error?.code ?? 'closed');
    this.releaseBound();
  }

  onDeadline(): void {
    switch (this.state) {
      case IN_HEAD:
        // An empty line is not a request yet.
        if (this.partialHead.size > this.head.startLineOffset) this.refuse('REQUEST_TIMEOUT', 'head');
        else this.destroy();
        break;
      case IN_EXCHANGE:
        if (this.exchange === null) break;
        if (this.paused && !this.isAwaited && !this.clientEnded) {
          this.socket.checkPeer();
          this.updateDeadline();
        } else if (this.stream.isBlocked || this.clientEnded) {
          const { exchange } = this;
          this.stream.abort();
          exchange.onAborted(
            'CLIENT_GONE',
            this.clientEnded ? 'half-closed, and no response came in time' : 'stopped reading',
          );
        } else {
          this.exchange.onTimeout();
        }
        break;
      default:
        this.destroy();
    }
  }

  pauseRequest(): void {
    // Again and again, as of a request that waits, it would put off the look whether the client is still there.
    if (this.paused) return;
    this.pause();
    this.updateDeadline();
  }

  resumeRequest(): void {
    if (this.partialHead.size < pipelinedBytesMin) {
      if (this.paused) this.bodyRate.resumed(this.context.clock.monotonicMs());
      this.resume();
    }
    this.updateDeadline();
  }

  openTunnel(): TunnelEndpoint {
    this.exchange = null;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.releaseBound();
    return { stream: this.socket, received: this.partialHead.take(), hasEnded: this.clientEnded };
  }

  exchangeEnded(keepsAlive: boolean): void {
    const { exchange } = this;
    if (exchange === null) {
      // The connection has become a tunnel, which is already counted.
      this.partialHead.clear();
      this.connections.delete(this);
      return;
    }
    this.exchange = null;
    this.stream.isBlocked = false;
    this.head.reset();
    if (this.state !== IN_EXCHANGE) return;
    if (!keepsAlive || !exchange.requestComplete) {
      this.linger();
      return;
    }
    if (this.socket.isFlowing) {
      this.awaitNext();
    } else {
      // While a client pipelines requests without reading responses, the proxy stops reading from it.
      this.state = UNREAD;
      this.pause();
      this.deadlineMs = inactivityDeadline(this.context);
    }
  }

  allowsKeepAlive(): boolean {
    const { context, exchange, head } = this;
    if (!head.keepAlive || context.settings.keepAliveMs === 0 || context.draining) return false;
    // After its end, a client can only have pipelined requests left.
    if (this.clientEnded && this.partialHead.isEmpty) return false;
    return exchange?.requestComplete === true;
  }

  /** The client has a deadline while the rest of its request is due, or while it has a response to read. */
  updateDeadline(): void {
    if (this.state !== IN_EXCHANGE) return;
    if (this.clientEnded) {
      // The client may have gone, and only a write would show it.
      this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || halfClosedMs);
      return;
    }
    if (this.isAwaited) this.deadlineMs = Math.min(inactivityDeadline(this.context), this.bodyDeadline());
    else if (this.paused) this.deadlineMs = this.context.clock.monotonicMs() + peerCheckMs;
    else this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  private bodyDeadline(): number {
    const { exchange } = this;
    if (exchange === null || exchange.requestComplete || exchange.hasResponse) return Number.POSITIVE_INFINITY;
    const { bodyGraceMs, bodyRateMin } = this.context.settings;
    return this.bodyRate.deadlineMs(bodyGraceMs, bodyRateMin);
  }

  /** Whether the client has to do something: to read its response, or to send more of its request. */
  private get isAwaited(): boolean {
    return this.stream.isBlocked || (this.exchange?.requestComplete === false && !this.paused);
  }

  /** Reads requests until one has to wait. */
  private readMessages(bytes: Buffer, start: number, end: number): void {
    const { head, context } = this;
    let at = start;
    this.reading = true;
    this.state = BETWEEN;
    while (at < end && this.state === BETWEEN) {
      const length = head.read(bytes, at, end, context.settings);
      if (length === NEED_MORE) {
        if (this.headDeadlineMs === 0) {
          this.headDeadlineMs = context.clock.monotonicMs() + context.settings.headTimeoutMs;
        }
        this.deadlineMs = this.headDeadlineMs;
        this.partialHead.add(bytes, at, end);
        this.state = IN_HEAD;
        break;
      }
      this.headDeadlineMs = 0;
      if (length === REFUSED && !this.peer.secure && beginsTls(bytes, at, end)) {
        this.leaveTls();
        return;
      }
      if (length === REFUSED) {
        this.refuse(head.refusalCode, head.refusal);
        break;
      }
      const refusal = head.protocol === 'websocket' ? checkHandshake(head) : null;
      if (refusal !== null) {
        this.refuse(refusal.code, refusal.problem);
        break;
      }
      at = this.beginExchange(bytes, at + length, end);
    }
    this.reading = false;
    if (this.state === BETWEEN || this.state === IN_HEAD) {
      if (this.state === BETWEEN) this.partialHead.clear();
      if (this.clientEnded) this.linger();
      else this.resume();
    } else if (at < end && (this.state === IN_EXCHANGE || this.state === UNREAD)) {
      this.keepPipelined(bytes, at, end);
    } else if (this.state === IN_EXCHANGE && this.exchange?.requestComplete) {
      this.resume();
    }
  }

  private awaitNext(): void {
    const { clock, draining, settings } = this.context;
    if (draining && !this.partialHead.isEmpty) {
      this.linger();
      return;
    }
    this.state = BETWEEN;
    // A response that began before the drain has promised the client that it may send another request.
    const idleMs = draining ? Math.min(drainGraceMs, settings.keepAliveMs) : settings.keepAliveMs;
    this.deadlineMs = clock.monotonicMs() + idleMs;
    if (this.reading) return;
    const kept = this.partialHead.take();
    this.readMessages(kept, 0, kept.length);
  }

  /**
   * Starts the exchange of the head just read; `bytes[start, end)` follows that head. @returns where it stopped
   * reading.
   */
  private beginExchange(bytes: Buffer, start: number, end: number): number {
    const { head, body } = this;
    const exchange = this.newExchange();
    let at = start;
    if (head.framing === Framing.NONE) {
      this.deadlineMs = Number.POSITIVE_INFINITY;
      exchange.start();
      if (this.clientEnded) this.updateDeadline();
    } else {
      body.start(head.framing, head.contentLength);
      this.bodyRate.begin(exchange.startMs);
      at = this.readBody(exchange, bytes, start, end);
      if (this.exchange !== exchange) return at;
      exchange.start();
      this.updateDeadline();
    }
    return at;
  }

  private readDuringExchange(bytes: Buffer, length: number): void {
    const { exchange } = this;
    if (exchange === null) return;
    let at = 0;
    if (!exchange.requestComplete) {
      at = this.readBody(exchange, bytes, 0, length);
      if (this.exchange !== exchange) return;
      this.reading = true;
      exchange.onFlush();
      this.reading = false;
      if (this.exchange !== exchange) {
        if (this.state === BETWEEN) this.readMessages(bytes, at, length);
        else if (this.state === UNREAD && at < length) this.keepPipelined(bytes, at, length);
        return;
      }
      this.updateDeadline();
    }
    if (at < length) this.keepPipelined(bytes, at, length);
  }

  /** Keeps what follows the request. The client is read until that is much, because only a read shows that it left. */
  private keepPipelined(bytes: Buffer, start: number, end: number): void {
    this.partialHead.add(bytes, start, end);
    if (this.state !== IN_EXCHANGE || this.partialHead.size >= pipelinedBytesMin) this.pause();
    else this.resume();
    this.updateDeadline();
  }

  private readBody(exchange: Exchange, bytes: Buffer, start: number, end: number): number {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    this.bodyRate.count(at - start);
    if (body.refusal !== '') {
      exchange.refuse('REQUEST_INVALID', body.refusal);
    } else if (body.done) {
      exchange.onEnd(body.trailers === null ? null : new FieldLines(body.trailers.forwardable));
    }
    return at;
  }

  private newExchange(): Exchange {
    invariant(this.exchange === null, 'a connection has one exchange at a time');
    this.stream.begin();
    const exchange = new Exchange(this.stream, this.context);
    this.exchange = exchange;
    this.state = IN_EXCHANGE;
    return exchange;
  }

  /** Replies to a request that cannot be read further, and ends the connection. */
  private refuse(code: ErrorCode, detail: string): void {
    const exchange = this.newExchange();
    if (this.head.refusal === '') this.head.refusal = detail;
    exchange.refuse(code, detail);
  }

  /** Half-closes, then keeps reading for a while after all data has left, so that no reset overtakes the response. */
  private linger(): void {
    if (this.state !== LINGERING) {
      this.state = LINGERING;
      this.partialHead.clear();
      // The queued data leaves first, at the client's pace; then `onFinished` sets the deadline.
      this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || halfClosedMs);
    }
    this.socket.end();
    this.resume();
  }

  /** Ends the backend connection that serves only this client, unless an exchange or a tunnel is using it. */
  private releaseBound(): void {
    const { bound } = this.stream;
    if (bound?.stream.isFree) bound.stream.cancel();
  }

  /** A reply without TLS would mean nothing to the client. */
  private leaveTls(): void {
    this.reading = false;
    this.context.onWarning('a client begins with TLS on an address without TLS; it needs an address of https.bind', {
      client: this.peer.address,
    });
    this.leave('TLS on a port without TLS');
  }

  /** Ends the exchange and the connection at once, with whatever the client has pipelined. */
  private leave(detail: string): void {
    this.state = CLOSED;
    try {
      this.exchange?.onAborted('CLIENT_GONE', detail);
    } finally {
      this.socket.destroy();
    }
  }

  private pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.bodyRate.paused(this.context.clock.monotonicMs());
    this.socket.pause();
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }
}

/** Whether the bytes are the begin of a handshake record of TLS (RFC 8446 section 5.1). */
function beginsTls(bytes: Buffer, start: number, end: number): boolean {
  return bytes[start] === 0x16 && (start + 1 === end || bytes[start + 1] === 0x03);
}
