import type { ErrorCode } from '../../base/errors.ts';
import type { FieldEdits, FieldLines } from '../../http/field-lines.ts';
import type { ResponseView } from '../../http/message.ts';
import { PartialHead } from '../../http1/partial-head.ts';
import { errorName, frameHeadBytes, Http2Error } from '../../http2/frame.ts';
import type { HeaderField } from '../../http2/header-field.ts';
import type { Http2RequestHead } from '../../http2/request-head.ts';
import type { ResponseBlocks } from '../../http2/response-blocks.ts';
import type { Http2Stream, StreamHandler } from '../../http2/stream.ts';
import { readTrailers } from '../../http2/trailers.ts';
import type { RuleEffects } from '../../policy/admission.ts';
import { checkHandshake } from '../../websocket/handshake.ts';
import type { Peer } from '../client-identity.ts';
import { inactivityDeadline, type ProxyContext, tunnelIdleDeadline } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { Exchange } from '../exchange.ts';
import { Http2Tunnel } from '../http2-tunnel.ts';
import { grpcAbortFields, grpcReplyFields, type LocalReply, localReplyParts } from '../local-reply.ts';
import type { BoundStream, ServerStream, TunnelEndpoint } from '../server-stream.ts';
import { withVia } from '../via.ts';
import { BodyRate } from './body-rate.ts';

/** How long, in ms, the rest of a request is read behind its response. */
const lingerMs = 2000;
const nothing = Buffer.alloc(0);

/** The connection that a stream belongs to. */
interface Http2StreamOwner {
  readonly peer: Peer;
  readonly blocks: ResponseBlocks;
  readonly context: ProxyContext;
  /** The stream has become a tunnel: its request is not needed any more. */
  becameTunnel(stream: Http2ServerStream): void;
  /** The exchange has ended, and its response has left. */
  streamClosed(stream: Http2ServerStream): void;
  streamEnded(): void;
}

/** One request of a client on an HTTP/2 connection, and the response. */
export class Http2ServerStream implements ServerStream, StreamHandler, Timed {
  readonly request: Http2RequestHead;
  bound: BoundStream | null = null;
  effects: RuleEffects | null = null;
  bytesSent = 0;
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  exchange: Exchange | null = null;
  private readonly connection: Http2StreamOwner;
  private readonly stream: Http2Stream;
  /** Whether the response waits for the client to read. */
  private isBlocked = false;
  /** Bytes of the response that waited for the client when the deadline was set. */
  private unreadBytes = 0;
  private isPaused = false;
  private hasHead = false;
  /** It has become a tunnel; and the bytes that came before. */
  private isTunnel = false;
  private early: PartialHead | null = null;
  private bodyRate: BodyRate | null = null;

  constructor(connection: Http2StreamOwner, stream: Http2Stream, request: Http2RequestHead) {
    this.connection = connection;
    this.stream = stream;
    this.request = request;
  }

  get peer(): Peer {
    return this.connection.peer;
  }

  /** Begins to handle the request. */
  begin(exchange: Exchange): void {
    this.exchange = exchange;
    const { request, stream } = this;
    if (request.refusal !== '') {
      exchange.refuse(request.refusalCode, request.refusal);
      return;
    }
    if (request.protocol === null) stream.expectedBytes = request.bodyLength;
    else stream.pause();
    const refusal = request.protocol === null ? null : checkHandshake(request);
    if (refusal !== null) {
      exchange.refuse(refusal.code, refusal.problem);
      return;
    }
    if (!exchange.requestComplete) {
      this.bodyRate = new BodyRate();
      this.bodyRate.begin(exchange.startMs);
    }
    exchange.start();
    if (!exchange.requestComplete) this.updateDeadline();
  }

  /** Offers of HTTP/1 alone. */
  chooseProtocol(): void {}

  sendInformational(response: ResponseView): void {
    if (this.stream.isClosed) return;
    this.sendBlock(this.connection.blocks.of(response, null, 0));
  }

  sendHead(response: ResponseView, edits: FieldEdits | null): void {
    const { blocks, context, peer } = this.connection;
    // A block that is encoded has to be sent: the peer's table follows it.
    if (this.stream.isClosed) return;
    if (response.authenticatesConnection) {
      // Credentials of a connection would count for all its streams. Browsers come back with HTTP/1.1.
      this.resetWith(Http2Error.HTTP_1_1_REQUIRED);
      return;
    }
    const block = blocks.of(response, withVia(peer, response, edits), context.clock.epochMs());
    this.hasHead = true;
    if (response.bodyLength === 0) this.sendOnlyBlock(block);
    else this.sendBlock(block);
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    this.bytesSent += end - start;
    this.stream.sendData(bytes, start, end);
  }

  sendEnd(trailers: FieldLines | null): void {
    if (!this.stream.hasSentEnd) this.stream.sendEnd(trailers);
  }

  sendLocal(reply: LocalReply, code: ErrorCode | null, added: FieldLines | null): void {
    const { exchange, request } = this;
    const { blocks, context } = this.connection;
    if (this.stream.isClosed) return;
    if (code !== null && exchange !== null && exchange.grpcCall !== null) {
      // Trailers alone, as servers of gRPC send their errors.
      this.sendOnlyBlock(blocks.ofLines(200, grpcReplyFields(reply, code, context.clock.epochMs(), added)));
      return;
    }
    const { fields, body } = localReplyParts(reply, code, {
      accept: request.acceptField < 0 ? '' : request.fieldValue(request.acceptField),
      page: context.pages?.page(reply.status, code) ?? null,
      epochMs: context.clock.epochMs(),
      added,
    });
    const block = blocks.ofLines(reply.status, fields);
    if (request.method === 'HEAD' || body === '') {
      this.sendOnlyBlock(block);
      return;
    }
    this.sendBlock(block);
    this.bytesSent += body.length;
    this.stream.sendText(body);
    this.stream.sendEnd(null);
  }

  flush(): boolean {
    const isFlowing = this.stream.flush();
    this.isBlocked = !isFlowing;
    if (this.isBlocked || this.deadlineSlot >= 0) this.updateDeadline();
    return isFlowing;
  }

  pauseRequest(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.stream.pause();
    this.bodyRate?.paused(this.connection.context.clock.monotonicMs());
    this.updateDeadline();
  }

  resumeRequest(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.bodyRate?.resumed(this.connection.context.clock.monotonicMs());
    this.stream.resume();
    this.updateDeadline();
  }

  abort(code: ErrorCode | null): void {
    if (this.exchange === null || this.exchange.grpcCall === null || !this.hasHead || this.stream.hasSentEnd) {
      this.resetWith(Http2Error.INTERNAL_ERROR);
      return;
    }
    this.stream.sendEnd(grpcAbortFields(code));
    this.abortLater('incomplete');
  }

  openTunnel(response: ResponseView, edits: FieldEdits | null): TunnelEndpoint {
    const { connection, early, stream } = this;
    const { blocks, context, peer } = connection;
    const block = blocks.ofSwitch(response, withVia(peer, response, edits), context.clock.epochMs());
    this.bytesSent += frameHeadBytes + block.length;
    stream.sendFields(block);
    const tunnel = new Http2Tunnel(stream, connection);
    stream.handler = tunnel;
    connection.becameTunnel(this);
    this.isTunnel = true;
    return { stream: tunnel, received: early?.take() ?? nothing, hasEnded: stream.hasReceivedEnd };
  }

  release(): void {
    const { connection, stream } = this;
    if (this.exchange === null) return;
    this.exchange = null;
    if (this.bound?.stream.isFree) this.bound.stream.cancel();
    if (this.isTunnel) {
      connection.context.deadlines.remove(this);
      return;
    }
    // As with HTTP/1, the rest of the request is read for a while: curl 7 fails if its upload is reset, response or not. The stream
    // of a WebSocket has no rest.
    if (!stream.hasReceivedEnd) stream.stopReceiving(this.request.protocol !== null);
    // The rest of the response has a deadline of its own.
    this.unreadBytes = stream.waitingBytes;
    this.isBlocked = this.unreadBytes > 0;
    if (this.isBlocked) this.setDeadline(inactivityDeadline(connection.context));
    else this.setDeadline(connection.context.clock.monotonicMs() + lingerMs);
  }

  destroy(): void {
    this.leave('connection ended by the proxy');
  }

  onDeadline(): void {
    const { waitingBytes } = this.stream;
    if (this.isBlocked && waitingBytes < this.unreadBytes) {
      this.unreadBytes = waitingBytes;
      this.deadlineMs = inactivityDeadline(this.connection.context);
    } else if (this.isBlocked) this.leave('stopped reading');
    // RFC 9113 section 8.1.
    else if (this.exchange === null) this.stream.reset(Http2Error.NO_ERROR);
    else this.exchange.onTimeout();
  }

  onFields(fields: readonly HeaderField[], isTooLarge: boolean): void {
    const trailers = readTrailers(fields);
    if (trailers === null || isTooLarge) {
      this.exchange?.refuse('REQUEST_INVALID', isTooLarge ? 'trailers too large' : 'trailers');
      return;
    }
    this.ended(trailers.text === '' ? null : trailers);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.request.protocol !== null) {
      // The client need not wait for the response. It may send as much as its window has, which is not opened.
      this.early ??= new PartialHead();
      this.early.add(bytes, start, end);
      return;
    }
    this.bodyRate?.count(end - start);
    this.exchange?.onData(bytes, start, end);
  }

  onFlush(): void {
    if (this.request.protocol !== null) return;
    this.exchange?.onFlush();
    if (this.exchange !== null) this.updateDeadline();
  }

  onEnd(): void {
    this.ended(null);
  }

  onDrain(): void {
    this.isBlocked = false;
    if (this.exchange === null) this.setDeadline(this.connection.context.clock.monotonicMs() + lingerMs);
    this.updateDeadline();
    this.exchange?.onDrain();
  }

  onClosed(): void {
    this.connection.context.deadlines.remove(this);
    this.connection.streamClosed(this);
  }

  onReset(code: number, detail: string): void {
    this.exchange?.onAborted('CLIENT_GONE', code === Http2Error.NO_ERROR ? detail : `${detail}: ${errorName(code)}`);
  }

  private ended(trailers: FieldLines | null): void {
    const { exchange } = this;
    if (exchange === null) return;
    if (this.request.protocol !== null) {
      if (!exchange.hasResponse) this.leave('ended before its WebSocket');
      return;
    }
    exchange.onEnd(trailers);
    // Without data in this read, nothing else would let it go.
    if (this.exchange === exchange) exchange.onFlush();
    if (this.exchange === exchange) this.updateDeadline();
  }

  /** Ends the stream, and then its exchange, unless the caller goes on to end that with a reason. */
  private resetWith(code: Http2Error): void {
    this.stream.reset(code);
    this.abortLater(`reset by the proxy: ${errorName(code)}`);
  }

  private abortLater(detail: string): void {
    queueMicrotask(() => {
      try {
        this.exchange?.onAborted('CLIENT_GONE', detail);
      } catch (error) {
        this.connection.context.onInternalError('an exchange', error as Error);
      }
    });
  }

  private sendOnlyBlock(block: string): void {
    this.bytesSent += frameHeadBytes + block.length;
    this.stream.sendOnlyFields(block);
  }

  private sendBlock(block: string): void {
    this.bytesSent += frameHeadBytes + block.length;
    this.stream.sendFields(block);
  }

  private leave(detail: string): void {
    const { exchange } = this;
    this.stream.reset(Http2Error.CANCEL);
    exchange?.onAborted('CLIENT_GONE', detail);
  }

  /** The client has a deadline while the rest of its request is due, or while it has a response to read. */
  private updateDeadline(): void {
    const { exchange } = this;
    const { context } = this.connection;
    if (exchange === null) return;
    const awaitsBody = !exchange.requestComplete && !this.isPaused;
    if (!this.isBlocked && !awaitsBody) {
      this.deadlineMs = Number.POSITIVE_INFINITY;
      return;
    }
    // Either side of a call may be silent for a while.
    const isCall = exchange.isCall;
    const isSilent = isCall && !this.isBlocked;
    let deadlineMs = isSilent ? tunnelIdleDeadline(exchange.policy, context) : inactivityDeadline(context);
    if (!exchange.requestComplete && !exchange.hasResponse && this.bodyRate !== null && !isCall) {
      const { bodyGraceMs, bodyRateMin } = context.settings;
      deadlineMs = Math.min(deadlineMs, this.bodyRate.deadlineMs(bodyGraceMs, bodyRateMin));
    }
    this.unreadBytes = this.stream.waitingBytes;
    this.setDeadline(deadlineMs);
  }

  private setDeadline(deadlineMs: number): void {
    if (this.stream.isClosed) return;
    this.deadlineMs = deadlineMs;
    if (this.deadlineSlot < 0) this.connection.context.deadlines.add(this);
  }
}
