import type { ErrorCode } from '../base/errors.ts';
import type { AnswerHead } from '../http1/answer-head.ts';
import { BodyReader, type BodySink } from '../http1/body.ts';
import { Framing, NEED_MORE, REFUSED } from '../http1/head.ts';
import { RequestHead } from '../http1/request-head.ts';
import type { ByteSocket, SocketOwner } from '../sockets/byte-socket.ts';
import { inactivityDeadline, type ListenerTraits, type ProxyContext } from './context.ts';
import type { Timed } from './deadlines.ts';
import { Exchange, type ExchangeClient } from './exchange.ts';
import { clientFraming, forwardAnswerHead, forwardSwitchHead } from './forward-answer.ts';
import { HeldBytes } from './held-bytes.ts';
import { describePeer, type Peer } from './identity.ts';
import { type OwnAnswer, ownAnswerText, refusalCode } from './own-answer.ts';
import { NEED_MORE_PROXY, ProxyHeader } from './proxy-protocol.ts';

const PROXY_HEADER = 0;
const BETWEEN = 1;
const IN_HEAD = 2;
const IN_EXCHANGE = 3;
/** The answer has ended, but the client has not read so much of it that the next request may be looked at. */
const UNREAD = 4;
const LINGERING = 5;
const CLOSED = 6;
const HANDSHAKE = 7;

/** How long a connection whose last answer has left is still read from, so that no reset overtakes it. */
const lingerMs = 5000;
/** How long a client that sends no more waits for the next byte of its answer where inactivity has no limit. */
const halfClosedMs = 60_000;
/** How long an unused connection is kept when the proxy stops: a request may be on its way, and gets the last answer. */
const drainGraceMs = 2000;
/** Bytes that are read and dropped meanwhile. */
const lingerBytesMax = 16 * 1024 * 1024;

/** One connection of a client, speaking HTTP/1: one exchange after the other, pipelined requests in their order. */
export class ClientConnection implements SocketOwner, ExchangeClient, BodySink, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  peer: Peer;
  private readonly context: ProxyContext;
  private readonly traits: ListenerTraits;
  private readonly onGone: (connection: ClientConnection) => void;
  /** Set right after the construction, by `attach`: the socket needs its owner first. */
  private socket!: ByteSocket;
  private readonly head = new RequestHead();
  private readonly body: BodyReader;
  /** An incomplete head, or what came behind the request that is under way. */
  private readonly held = new HeldBytes();
  private exchange: Exchange | null = null;
  private state: number;
  private paused = false;
  private clientEnded = false;
  private reading = false;
  private answerFraming: Framing = Framing.NONE;
  private answerKeepsAlive = true;
  /** Whether an answer waits for the client to read. */
  private answerBlocked = false;
  /** Monotonic ms by which the head that has begun must be complete; 0 while none has. */
  private headDeadlineMs = 0;
  private bytesBefore = 0;
  private lingeredBytes = 0;

  constructor(context: ProxyContext, traits: ListenerTraits, onGone: (connection: ClientConnection) => void) {
    this.context = context;
    this.traits = traits;
    this.onGone = onGone;
    this.body = new BodyReader(context.settings.headBytesMax);
    this.state = traits.secure ? HANDSHAKE : traits.proxyProtocol ? PROXY_HEADER : BETWEEN;
    this.peer = unknownPeer;
    this.deadlineMs = context.clock.monotonicMs() + context.settings.headTimeoutMs;
  }

  /** Begins to serve the socket that this connection owns. @param address of the client. */
  attach(socket: ByteSocket, address: string): void {
    const { context, traits } = this;
    this.socket = socket;
    this.peer = describePeer(address, traits.secure, context.settings.trustedProxies);
    context.deadlines.add(this);
    socket.resume();
  }

  /** The proxy stops: a connection in use ends with its exchange, an unused one soon, if no request comes. */
  drain(): void {
    if (this.state !== BETWEEN && this.state !== PROXY_HEADER) return;
    this.deadlineMs = Math.min(this.deadlineMs, this.context.clock.monotonicMs() + drainGraceMs);
  }

  /** Ends the connection at once, with what is under way on it. */
  destroy(): void {
    this.exchange?.onClientGone('CLIENT_GONE', 'connection ended by the proxy');
    this.socket.destroy();
  }

  get isInBody(): boolean {
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
        this.held.add(bytes, 0, length);
        const held = this.held.take();
        this.readMessages(held, 0, held.length);
        break;
      }
      case PROXY_HEADER:
        this.held.add(bytes, 0, length);
        this.readProxyHeader();
        break;
      case LINGERING:
        this.lingeredBytes += length;
        if (this.lingeredBytes > lingerBytesMax) this.destroy();
        break;
    }
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.exchange?.onRequestData(bytes, start, end);
  }

  onEnd(): void {
    this.clientEnded = true;
    const { exchange } = this;
    if (exchange === null || this.state === LINGERING) {
      this.linger();
    } else if (!exchange.requestComplete) {
      exchange.onClientGone('CLIENT_GONE', 'ended in the body of its request');
      this.destroy();
    }
    // Else the client has only said that it will send no more: it gets its answer, as long as there is progress.
    this.updateDeadline();
  }

  onDrain(): void {
    if (this.state === UNREAD) {
      this.awaitNext();
      return;
    }
    this.answerBlocked = false;
    this.updateDeadline();
    this.exchange?.onClientDrain();
  }

  onConnected(): void {
    const { context, socket } = this;
    context.counters.tlsHandshakes++;
    if (socket.isResumed) context.counters.tlsHandshakesResumed++;
    this.state = BETWEEN;
    this.deadlineMs = context.clock.monotonicMs() + context.settings.headTimeoutMs;
  }

  onFinished(): void {
    if (this.state === LINGERING) this.deadlineMs = this.context.clock.monotonicMs() + lingerMs;
  }

  onDefect(error: Error): void {
    this.context.onProblem('internal error at a client connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    if (this.state === HANDSHAKE) this.context.counters.tlsHandshakesFailed++;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.held.clear();
    this.onGone(this);
    this.exchange?.onClientGone('CLIENT_GONE', error?.code ?? 'closed');
  }

  onDeadline(): void {
    switch (this.state) {
      case IN_HEAD:
        // An empty line is no request yet.
        if (this.held.size > this.head.startLineOffset) this.refuse('REQUEST_TIMEOUT', 'head');
        else this.destroy();
        break;
      case IN_EXCHANGE:
        if (this.exchange === null) break;
        if (this.answerBlocked || this.clientEnded) {
          const { exchange } = this;
          this.reset();
          exchange.onClientGone('CLIENT_GONE', this.clientEnded ? 'ended, and nothing came for it' : 'stopped reading');
        } else {
          this.exchange.onClientTimeout();
        }
        break;
      default:
        this.destroy();
    }
  }

  sendInterim(answer: AnswerHead): void {
    // RFC 9110 section 15.2: never to a client of HTTP/1.0.
    if (this.head.versionMinor === 0) return;
    this.socket.append(
      forwardAnswerHead(answer, { versionMinor: 1, framing: Framing.NONE, keepAlive: true, extraLines: '' }),
    );
  }

  sendHead(answer: AnswerHead, extraLines: string): void {
    const { versionMinor } = this.head;
    this.answerFraming = clientFraming(answer, versionMinor);
    // An answer that comes before the end of its request may leave the body unsent (RFC 9110 section 10.1.1).
    this.answerKeepsAlive = this.mayGoOn() && this.answerFraming !== Framing.CLOSE;
    this.socket.append(
      forwardAnswerHead(answer, {
        versionMinor,
        framing: this.answerFraming,
        keepAlive: this.answerKeepsAlive,
        extraLines,
      }),
    );
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    if (this.answerFraming !== Framing.CHUNKED) {
      this.socket.appendBytes(bytes, start, end);
      return;
    }
    this.socket.append(`${(end - start).toString(16)}\r\n`);
    this.socket.appendBytes(bytes, start, end);
    this.socket.append('\r\n');
  }

  sendEnd(trailerLines: string): void {
    if (this.answerFraming === Framing.CHUNKED) this.socket.append(`0\r\n${trailerLines}\r\n`);
    this.socket.flush();
  }

  startTunnel(answer: AnswerHead, extraLines: string, backend: ByteSocket, fromBackend: Buffer): void {
    const { context, exchange, socket } = this;
    if (exchange === null) return;
    socket.append(forwardSwitchHead(answer, extraLines));
    exchange.bytesSent = socket.bytesQueued - this.bytesBefore;
    const fromClient = this.held.take();
    this.exchange = null;
    this.state = CLOSED;
    context.deadlines.remove(this);
    // The tunnel is counted before the connection is forgotten, so that there is never none of both.
    context.tunnels.begin(context, exchange, {
      client: socket,
      fromClient,
      clientEnded: this.clientEnded,
      backend,
      fromBackend,
    });
    this.held.clear();
    this.onGone(this);
  }

  sendOwn(answer: OwnAnswer, code: ErrorCode | null, extraLines: string): void {
    const { head, context } = this;
    // A request that was not read whole leaves its rest in the way of the next one.
    this.answerKeepsAlive = head.refusal === '' && this.mayGoOn();
    this.socket.append(
      ownAnswerText(answer, code, {
        versionMinor: head.versionMinor,
        isHead: head.method === 'HEAD',
        accept: head.acceptField < 0 ? '' : head.fieldValue(head.acceptField),
        page: context.pages?.page(answer.status) ?? null,
        keepAlive: this.answerKeepsAlive,
        epochMs: context.clock.epochMs(),
        extraLines,
      }),
    );
    this.socket.flush();
  }

  flush(): boolean {
    const flowing = this.socket.flush();
    this.answerBlocked = !flowing;
    this.updateDeadline();
    return flowing;
  }

  reset(): void {
    this.answerKeepsAlive = false;
    this.socket.reset();
  }

  pauseBody(): void {
    this.pause();
    this.updateDeadline();
  }

  resumeBody(): void {
    if (this.held.isEmpty) this.resume();
    this.updateDeadline();
  }

  exchangeDone(): void {
    const { exchange } = this;
    if (exchange === null) return;
    this.exchange = null;
    this.answerBlocked = false;
    exchange.bytesSent = this.socket.bytesQueued - this.bytesBefore;
    this.context.observer.exchangeEnded(exchange);
    this.head.reset();
    if (this.state !== IN_EXCHANGE) return;
    if (!this.answerKeepsAlive || !exchange.requestComplete) {
      this.linger();
      return;
    }
    if (this.socket.isFlowing) {
      this.awaitNext();
    } else {
      // Who sends request after request and reads no answer is not read from either.
      this.state = UNREAD;
      this.pause();
      this.deadlineMs = inactivityDeadline(this.context);
    }
  }

  /** Whether another request may follow the answer that begins now. */
  private mayGoOn(): boolean {
    const { context, exchange, head } = this;
    if (!head.keepAlive || context.settings.keepAliveMs === 0 || context.draining || this.clientEnded) return false;
    return exchange?.requestComplete === true;
  }

  /** Reads one request after the other until one has to be waited for. */
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
        this.held.add(bytes, at, end);
        this.state = IN_HEAD;
        break;
      }
      this.headDeadlineMs = 0;
      if (length === REFUSED) {
        this.refuse(refusalCode(head.refusalStatus), head.refusal);
        break;
      }
      at = this.beginExchange(bytes, at + length, end);
    }
    this.reading = false;
    if (this.state === BETWEEN) {
      this.held.clear();
      if (this.clientEnded) this.linger();
      else this.resume();
    } else if (this.state === IN_HEAD) {
      this.resume();
    } else if (at < end && (this.state === IN_EXCHANGE || this.state === UNREAD)) {
      // The next request waits its turn, and the client with it.
      this.held.add(bytes, at, end);
      this.pause();
    }
  }

  private awaitNext(): void {
    const { clock, draining, settings } = this.context;
    if (draining && !this.held.isEmpty) {
      this.linger();
      return;
    }
    this.state = BETWEEN;
    // An answer that began before the drain has told the client that it may go on.
    const idleMs = draining ? Math.min(drainGraceMs, settings.keepAliveMs) : settings.keepAliveMs;
    this.deadlineMs = clock.monotonicMs() + idleMs;
    if (this.reading) return;
    const held = this.held.take();
    this.readMessages(held, 0, held.length);
  }

  /** Starts the exchange of the head just read; `bytes[start, end)` is what came behind it. @returns where it stopped. */
  private beginExchange(bytes: Buffer, start: number, end: number): number {
    const { head, body } = this;
    const exchange = new Exchange(this, head, this.context);
    this.exchange = exchange;
    this.state = IN_EXCHANGE;
    this.answerBlocked = false;
    this.bytesBefore = this.socket.bytesQueued;
    let at = start;
    if (head.framing === Framing.NONE) {
      this.deadlineMs = Number.POSITIVE_INFINITY;
      exchange.start();
    } else {
      body.start(head.framing, head.contentLength);
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
      exchange.onRequestFlush();
      this.updateDeadline();
    }
    if (at < length) {
      this.held.add(bytes, at, length);
      this.pause();
    }
  }

  private readBody(exchange: Exchange, bytes: Buffer, start: number, end: number): number {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    if (body.refusal !== '') {
      if (exchange.isAnswered) {
        this.reset();
        exchange.onClientGone('REQUEST_INVALID', body.refusal);
      } else {
        exchange.refuse('REQUEST_INVALID', body.refusal);
      }
    } else if (body.done) {
      exchange.onRequestEnd(body.trailers === null ? '' : body.trailers.forwardable);
    }
    return at;
  }

  private readProxyHeader(): void {
    const held = this.held.take();
    const header = ProxyHeader.read(held);
    if (header === NEED_MORE_PROXY) {
      this.held.add(held, 0, held.length);
      return;
    }
    if (header === null) {
      this.destroy();
      return;
    }
    if (header.address !== '') {
      this.peer = describePeer(header.address, this.traits.secure, this.context.settings.trustedProxies);
    }
    this.state = BETWEEN;
    this.held.clear();
    this.readMessages(held, header.length, held.length);
  }

  /** Answers a request that cannot be read on, and ends the connection. */
  private refuse(code: ErrorCode, detail: string): void {
    const exchange = new Exchange(this, this.head, this.context);
    this.exchange = exchange;
    this.state = IN_EXCHANGE;
    this.bytesBefore = this.socket.bytesQueued;
    if (this.head.refusal === '') this.head.refusal = detail;
    exchange.refuse(code, detail);
  }

  /** Says that nothing more comes, and reads on for a while once all has left, so that no reset overtakes the answer. */
  private linger(): void {
    if (this.state !== LINGERING) {
      this.state = LINGERING;
      this.held.clear();
      // What is queued has to leave first, at the pace of the client: see `onFinished`.
      this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || halfClosedMs);
    }
    this.socket.end();
    this.resume();
  }

  private pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.socket.pause();
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  /** The client is waited for while it owes the body of its request, or has an answer to read. */
  private updateDeadline(): void {
    if (this.state !== IN_EXCHANGE) return;
    if (this.clientEnded) {
      // It may well be gone, which only a write would show.
      this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || halfClosedMs);
      return;
    }
    const isAwaited = this.answerBlocked || (this.exchange?.requestComplete === false && !this.paused);
    this.deadlineMs = isAwaited ? inactivityDeadline(this.context) : Number.POSITIVE_INFINITY;
  }
}

const unknownPeer: Peer = { address: '', trusted: false, secure: false, lines: '' };
