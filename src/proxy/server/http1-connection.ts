import type { ErrorCode } from '../../base/errors.ts';
import { BodyReader, type BodySink } from '../../http1/body.ts';
import { clientFraming, forwardResponseHead, forwardSwitchHead } from '../../http1/forward-response.ts';
import { Framing, NEED_MORE, REFUSED } from '../../http1/head.ts';
import { PartialHead } from '../../http1/partial-head.ts';
import { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { NEED_MORE_PROXY, parseProxyHeader } from '../../sockets/proxy-protocol.ts';
import { inactivityDeadline, type ListenerTraits, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { Exchange, type ExchangeClient } from '../exchange.ts';
import { type LocalReply, localReplyText, refusalCode } from '../local-reply.ts';
import { describePeer, type Peer } from './client-identity.ts';

const PROXY_HEADER = 0;
const BETWEEN = 1;
const IN_HEAD = 2;
const IN_EXCHANGE = 3;
/** The response has ended, but the client has not read so much of it that the next request may be looked at. */
const UNREAD = 4;
const LINGERING = 5;
const CLOSED = 6;
const HANDSHAKE = 7;

/** How long a connection whose last response has left is still read from, so that no reset overtakes it. */
const lingerMs = 5000;
/** How long a client that sends no more waits for the next byte of its response where inactivity has no limit. */
const halfClosedMs = 60_000;
/** How long an unused connection is kept when the proxy stops: a request may be on its way, and gets the last response. */
const drainGraceMs = 2000;
/** Bytes that are read and dropped meanwhile. */
const lingerBytesMax = 16 * 1024 * 1024;

/** One connection of a client, speaking HTTP/1: one exchange after the other, pipelined requests in their order. */
export class ClientConnection implements SocketHandler, ExchangeClient, BodySink, Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  peer: Peer;
  private readonly context: ProxyContext;
  private readonly traits: ListenerTraits;
  private readonly onGone: (connection: ClientConnection) => void;
  /** Set right after the construction, by `attach`: the socket needs its handler first. */
  private socket!: ByteSocket;
  private readonly head = new RequestHead();
  private readonly body: BodyReader;
  /** An incomplete head, or what came behind the request that is under way. */
  private readonly partialHead = new PartialHead();
  private exchange: Exchange | null = null;
  private state: number;
  private paused = false;
  private clientEnded = false;
  private reading = false;
  private responseFraming: Framing = Framing.NONE;
  private responseKeepsAlive = true;
  /** Whether a response waits for the client to read. */
  private responseBlocked = false;
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
        this.partialHead.add(bytes, 0, length);
        const kept = this.partialHead.take();
        this.readMessages(kept, 0, kept.length);
        break;
      }
      case PROXY_HEADER:
        this.partialHead.add(bytes, 0, length);
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
    // Else the client has only said that it will send no more: it gets its response, as long as there is progress.
    this.updateDeadline();
  }

  onDrain(): void {
    if (this.state === UNREAD) {
      this.awaitNext();
      return;
    }
    this.responseBlocked = false;
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

  onInternalError(error: Error): void {
    this.context.onProblem('internal error at a client connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    if (this.state === HANDSHAKE) this.context.counters.tlsHandshakesFailed++;
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.partialHead.clear();
    this.onGone(this);
    this.exchange?.onClientGone('CLIENT_GONE', error?.code ?? 'closed');
  }

  onDeadline(): void {
    switch (this.state) {
      case IN_HEAD:
        // An empty line is no request yet.
        if (this.partialHead.size > this.head.startLineOffset) this.refuse('REQUEST_TIMEOUT', 'head');
        else this.destroy();
        break;
      case IN_EXCHANGE:
        if (this.exchange === null) break;
        if (this.responseBlocked || this.clientEnded) {
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

  sendInformational(response: ResponseHead): void {
    // RFC 9110 section 15.2: never to a client of HTTP/1.0.
    if (this.head.versionMinor === 0) return;
    this.socket.append(
      forwardResponseHead(response, { versionMinor: 1, framing: Framing.NONE, keepAlive: true, extraLines: '' }),
    );
  }

  sendHead(response: ResponseHead, extraLines: string): void {
    const { versionMinor } = this.head;
    this.responseFraming = clientFraming(response, versionMinor);
    // A response that comes before the end of its request may leave the body unsent (RFC 9110 section 10.1.1).
    this.responseKeepsAlive = this.mayGoOn() && this.responseFraming !== Framing.CLOSE;
    this.socket.append(
      forwardResponseHead(response, {
        versionMinor,
        framing: this.responseFraming,
        keepAlive: this.responseKeepsAlive,
        extraLines,
      }),
    );
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    if (this.responseFraming !== Framing.CHUNKED) {
      this.socket.appendBytes(bytes, start, end);
      return;
    }
    this.socket.append(`${(end - start).toString(16)}\r\n`);
    this.socket.appendBytes(bytes, start, end);
    this.socket.append('\r\n');
  }

  sendEnd(trailerLines: string): void {
    if (this.responseFraming === Framing.CHUNKED) this.socket.append(`0\r\n${trailerLines}\r\n`);
    this.socket.flush();
  }

  startTunnel(response: ResponseHead, extraLines: string, backend: ByteSocket, fromBackend: Buffer): void {
    const { context, exchange, socket } = this;
    if (exchange === null) return;
    socket.append(forwardSwitchHead(response, extraLines));
    exchange.bytesSent = socket.bytesQueued - this.bytesBefore;
    const fromClient = this.partialHead.take();
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
    this.partialHead.clear();
    this.onGone(this);
  }

  sendLocal(response: LocalReply, code: ErrorCode | null, extraLines: string): void {
    const { head, context } = this;
    // A request that was not read whole leaves its rest in the way of the next one.
    this.responseKeepsAlive = head.refusal === '' && this.mayGoOn();
    this.socket.append(
      localReplyText(response, code, {
        versionMinor: head.versionMinor,
        isHead: head.method === 'HEAD',
        accept: head.acceptField < 0 ? '' : head.fieldValue(head.acceptField),
        page: context.pages?.page(response.status) ?? null,
        keepAlive: this.responseKeepsAlive,
        epochMs: context.clock.epochMs(),
        extraLines,
      }),
    );
    this.socket.flush();
  }

  flush(): boolean {
    const flowing = this.socket.flush();
    this.responseBlocked = !flowing;
    this.updateDeadline();
    return flowing;
  }

  reset(): void {
    this.responseKeepsAlive = false;
    this.socket.reset();
  }

  pauseBody(): void {
    this.pause();
    this.updateDeadline();
  }

  resumeBody(): void {
    if (this.partialHead.isEmpty) this.resume();
    this.updateDeadline();
  }

  exchangeDone(): void {
    const { exchange } = this;
    if (exchange === null) return;
    this.exchange = null;
    this.responseBlocked = false;
    exchange.bytesSent = this.socket.bytesQueued - this.bytesBefore;
    this.context.observer.exchangeEnded(exchange);
    this.head.reset();
    if (this.state !== IN_EXCHANGE) return;
    if (!this.responseKeepsAlive || !exchange.requestComplete) {
      this.linger();
      return;
    }
    if (this.socket.isFlowing) {
      this.awaitNext();
    } else {
      // Who sends request after request and reads no response is not read from either.
      this.state = UNREAD;
      this.pause();
      this.deadlineMs = inactivityDeadline(this.context);
    }
  }

  /** Whether another request may follow the response that begins now. */
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
        this.partialHead.add(bytes, at, end);
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
      this.partialHead.clear();
      if (this.clientEnded) this.linger();
      else this.resume();
    } else if (this.state === IN_HEAD) {
      this.resume();
    } else if (at < end && (this.state === IN_EXCHANGE || this.state === UNREAD)) {
      // The next request waits its turn, and the client with it.
      this.partialHead.add(bytes, at, end);
      this.pause();
    }
  }

  private awaitNext(): void {
    const { clock, draining, settings } = this.context;
    if (draining && !this.partialHead.isEmpty) {
      this.linger();
      return;
    }
    this.state = BETWEEN;
    // A response that began before the drain has told the client that it may go on.
    const idleMs = draining ? Math.min(drainGraceMs, settings.keepAliveMs) : settings.keepAliveMs;
    this.deadlineMs = clock.monotonicMs() + idleMs;
    if (this.reading) return;
    const kept = this.partialHead.take();
    this.readMessages(kept, 0, kept.length);
  }

  /** Starts the exchange of the head just read; `bytes[start, end)` is what came behind it. @returns where it stopped. */
  private beginExchange(bytes: Buffer, start: number, end: number): number {
    const { head, body } = this;
    const exchange = new Exchange(this, head, this.context);
    this.exchange = exchange;
    this.state = IN_EXCHANGE;
    this.responseBlocked = false;
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
      this.partialHead.add(bytes, at, length);
      this.pause();
    }
  }

  private readBody(exchange: Exchange, bytes: Buffer, start: number, end: number): number {
    const { body } = this;
    const at = body.read(bytes, start, end, this);
    if (body.refusal !== '') {
      if (exchange.isResponded) {
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
    const kept = this.partialHead.take();
    const header = parseProxyHeader(kept);
    if (header === NEED_MORE_PROXY) {
      this.partialHead.add(kept, 0, kept.length);
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
    this.partialHead.clear();
    this.readMessages(kept, header.length, kept.length);
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

  /** Says that nothing more comes, and reads on for a while once all has left, so that no reset overtakes the response. */
  private linger(): void {
    if (this.state !== LINGERING) {
      this.state = LINGERING;
      this.partialHead.clear();
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

  /** The client is waited for while it owes the body of its request, or has a response to read. */
  private updateDeadline(): void {
    if (this.state !== IN_EXCHANGE) return;
    if (this.clientEnded) {
      // It may well be gone, which only a write would show.
      this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || halfClosedMs);
      return;
    }
    const isAwaited = this.responseBlocked || (this.exchange?.requestComplete === false && !this.paused);
    this.deadlineMs = isAwaited ? inactivityDeadline(this.context) : Number.POSITIVE_INFINITY;
  }
}

const unknownPeer: Peer = { address: '', trusted: false, secure: false, lines: '' };
