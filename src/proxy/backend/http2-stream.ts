import type { ErrorCode } from '../../base/errors.ts';
import { invariant } from '../../base/invariant.ts';
import type { FieldEdits, FieldLines } from '../../http/field-lines.ts';
import type { RequestView } from '../../http/message.ts';
import { errorName, Http2Error } from '../../http2/frame.ts';
import type { HeaderField } from '../../http2/header-field.ts';
import { requestBlock } from '../../http2/request-block.ts';
import { Http2ResponseHead } from '../../http2/response-head.ts';
import type { Http2Stream, ResetCause, StreamHandler } from '../../http2/stream.ts';
import { readTrailers } from '../../http2/trailers.ts';
import { acceptOf, keyOf } from '../../websocket/handshake.ts';
import type { BackendStream, ResponseSink } from '../backend-stream.ts';
import type { Timed } from '../deadlines.ts';
import { Http2Tunnel } from '../http2-tunnel.ts';
import type { Http2BackendConnection } from './http2-connection.ts';
import { InformationalCount } from './informational-count.ts';

const nothing = Buffer.alloc(0);

/** One request on an HTTP/2 connection to a backend, and its response. */
export class Http2BackendStream implements BackendStream, StreamHandler, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  deadlineSlot = -1;
  readonly isFree = false;
  readonly mayBeRefused = true;
  reused: boolean;
  private readonly connection: Http2BackendConnection;
  /** Null before the request begins. */
  private stream: Http2Stream | null = null;
  private sink: ResponseSink | null = null;
  private toHead = false;
  /** For the response to the handshake of a WebSocket; empty if the request is none. */
  private webSocketKey = '';
  private requestSent = false;
  private readonly informational = new InformationalCount();
  private isInBody = false;
  /** Monotonic ms at which the response began to be due. */
  private dueSinceMs = 0;

  constructor(connection: Http2BackendConnection) {
    this.connection = connection;
    this.reused = connection.hasServed;
  }

  start(sink: ResponseSink, request: RequestView, edits: FieldEdits): void {
    const { connection } = this;
    const { context, scheme, session } = connection;
    invariant(this.stream === null, 'a stream of HTTP/2 has one request');
    this.sink = sink;
    const { protocol } = request;
    if (protocol !== null && !(protocol === 'websocket' && connection.takesWebSockets)) {
      this.failLater(`${protocol} over HTTP/2`);
      return;
    }
    const stream = session.open();
    invariant(stream !== null, 'a connection with room has numbers for streams');
    this.stream = stream;
    stream.handler = this;
    this.toHead = request.method === 'HEAD';
    this.webSocketKey = protocol === null ? '' : keyOf(request);
    this.requestSent = request.bodyLength === 0;
    context.deadlines.add(this);
    const block = requestBlock(session.encoder, request, edits, scheme);
    if (this.requestSent && protocol === null) stream.sendOnlyFields(block);
    else stream.sendFields(block);
    this.expectResponse();
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    this.stream?.sendData(bytes, start, end);
  }

  sendText(text: string): void {
    this.stream?.sendText(text);
  }

  sendEnd(trailers: FieldLines | null): void {
    this.requestSent = true;
    if (this.sink === null) return;
    this.stream?.sendEnd(trailers);
    this.expectResponse();
  }

  flush(): boolean {
    const flowing = this.stream === null || this.stream.flush();
    // While the backend does not accept the request, the backend's deadline applies.
    if (!flowing) {
      const { responseIdleMs = 0, responseMs = 0 } = this.sink?.timeouts ?? {};
      this.deadlineMs = this.deadlineIn(this.isInBody ? responseIdleMs : responseMs);
    }
    return flowing;
  }

  pauseResponse(): void {
    this.stream?.pause();
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  resumeResponse(): void {
    if (this.isInBody) this.expectMore();
    else this.expectResponse();
    this.stream?.resume();
  }

  cancel(): void {
    this.sink = null;
    this.resetWith(Http2Error.CANCEL);
  }

  destroy(): void {
    this.resetWith(Http2Error.INTERNAL_ERROR);
  }

  onFields(fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    const { sink } = this;
    if (sink === null) return;
    if (isTooLarge) {
      this.fail('BACKEND_RESPONSE_TOO_LARGE', 'head too large');
      return;
    }
    if (this.isInBody) {
      const trailers = readTrailers(fields);
      if (trailers === null) this.fail('BACKEND_RESPONSE_INVALID', 'trailers');
      else this.complete(trailers.text === '' ? null : trailers);
      return;
    }
    const response = new Http2ResponseHead(fields, endsStream, this.toHead);
    if (response.refusal !== '') {
      this.fail('BACKEND_RESPONSE_INVALID', response.refusal);
      return;
    }
    if (response.isInformational) this.onInformational(response, sink);
    else if (this.webSocketKey !== '' && response.status < 300) this.switchToTunnel(response, endsStream, sink);
    else this.onHead(response, endsStream, sink);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.sink?.onData(bytes, start, end);
  }

  onFlush(): void {
    if (this.sink === null) return;
    if (this.isInBody) this.expectMore();
    else this.expectResponse();
    this.sink.onFlush();
  }

  onEnd(): void {
    this.complete(null);
  }

  onDrain(): void {
    if (this.sink === null) return;
    if (!this.requestSent) this.deadlineMs = Number.POSITIVE_INFINITY;
    this.sink.onDrain();
  }

  onReset(code: number, detail: string, cause: ResetCause): void {
    const { isInBody } = this;
    switch (cause) {
      case 'refused':
        this.fail('BACKEND_STREAM_REFUSED', `${detail}: ${errorName(code)}`);
        return;
      case 'violation':
        this.fail(isInBody ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_RESPONSE_INVALID', detail);
        return;
      case 'peer':
        if (code === Http2Error.ENHANCE_YOUR_CALM && !isInBody) {
          // Node resets new streams so while responses of others wait in its memory: the connection is full, and no more than that.
          this.connection.retire();
          this.reused = true;
          this.fail('BACKEND_RESET', `${detail}: ${errorName(code)}`);
          return;
        }
        if (code === Http2Error.HTTP_1_1_REQUIRED && !isInBody) {
          this.connection.requireHttp1();
          this.fail('BACKEND_STREAM_REFUSED', errorName(code));
          return;
        }
        this.fail(isInBody ? 'BACKEND_RESPONSE_TRUNCATED' : 'BACKEND_STREAM_RESET', `${detail}: ${errorName(code)}`);
        return;
      case 'connection': {
        const { loss } = this.connection;
        this.fail(isInBody ? 'BACKEND_RESPONSE_TRUNCATED' : loss.code, loss.detail);
      }
    }
  }

  onClosed(): void {
    const { connection } = this;
    connection.context.deadlines.remove(this);
    if (this.isInBody) connection.openBodies--;
    this.isInBody = false;
    connection.streamClosed();
  }

  onDeadline(): void {
    const { connection, dueSinceMs, isInBody } = this;
    this.fail(isInBody ? 'BACKEND_RESPONSE_SILENT' : 'BACKEND_TIMEOUT', `${connection.address} is silent`);
    connection.suspect(dueSinceMs);
  }

  private onInformational(response: Http2ResponseHead, sink: ResponseSink): void {
    const { clock, settings } = this.connection.context;
    if (this.informational.count(response.status, clock.monotonicMs(), settings.informationalResponsesMax)) {
      sink.onInformational(response);
    } else {
      this.fail('BACKEND_RESPONSE_TOO_LARGE', 'too many informational responses');
    }
  }

  private onHead(response: Http2ResponseHead, endsStream: boolean, sink: ResponseSink): void {
    const { connection, stream } = this;
    if (stream !== null && !endsStream) stream.expectedBytes = response.bodyLength;
    this.isInBody = true;
    connection.openBodies++;
    sink.onHead(response);
    if (endsStream) this.complete(null);
  }

  /** The stream is one end of a tunnel from now on. */
  private switchToTunnel(response: Http2ResponseHead, endsStream: boolean, sink: ResponseSink): void {
    const { connection, stream } = this;
    if (stream === null) return;
    response.beSwitch(acceptOf(this.webSocketKey));
    this.sink = null;
    connection.context.deadlines.remove(this);
    const tunnel = new Http2Tunnel(stream, { streamEnded: () => connection.streamClosed() });
    stream.handler = tunnel;
    sink.onSwitch(response, { stream: tunnel, received: nothing, hasEnded: endsStream });
  }

  private complete(trailers: FieldLines | null): void {
    const { sink, stream } = this;
    if (sink === null) return;
    this.sink = null;
    this.connection.hasServed = true;
    // RFC 9113 section 8.1: the response is complete without the rest of its request. That of a WebSocket has no end.
    if (stream?.hasSentEnd === false) this.resetWith(Http2Error.CANCEL);
    sink.onEnd(trailers);
  }

  private fail(code: ErrorCode, detail: string): void {
    const { isInBody, sink, reused } = this;
    this.sink = null;
    this.resetWith(Http2Error.CANCEL);
    const isRefused = code === 'BACKEND_STREAM_REFUSED';
    sink?.onFailed({ code, detail, reused, progress: isRefused ? 'unsent' : isInBody ? 'responded' : 'sent' });
  }

  /** The caller of `start` expects the failure later. */
  private failLater(detail: string): void {
    queueMicrotask(() => {
      const { connection, sink } = this;
      this.sink = null;
      sink?.onFailed({ code: 'BACKEND_RESPONSE_INVALID', detail, reused: false, progress: 'unsent' });
      connection.streamClosed();
    });
  }

  /** Ends the stream, unless it has ended. */
  private resetWith(code: Http2Error): void {
    const { connection, stream } = this;
    if (stream === null || !connection.session.streams.has(stream.id)) return;
    stream.reset(code);
    connection.countReset();
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
    if (ms === 0) return Number.POSITIVE_INFINITY;
    this.dueSinceMs = this.connection.context.clock.monotonicMs();
    return this.dueSinceMs + ms;
  }
}
