import type { ErrorCode } from '../base/errors.ts';
import type { FieldEdits, FieldLines } from '../http/field-lines.ts';
import type { RequestView, ResponseView } from '../http/message.ts';
import type { BackendTimeouts } from '../policy/host-policy.ts';
import type { Failure } from './failure.ts';
import type { TunnelEndpoint } from './server-stream.ts';

/**
 * Which connections a request may get. `any`: it can be sent again if a kept connection has just been closed. `proven`: it
 * cannot, so that the connection must have been in use lately, and the backend be one that keeps them. `new`: none that
 * was kept.
 */
export type Freshness = 'any' | 'proven' | 'new';

/** The way to one address: provides streams over connections that it opens, keeps and limits. */
export interface Origin {
  /**
   * Gives the waiter a stream, now or later: on a kept connection, a new one, or the next to become free.
   */
  acquire(waiter: StreamWaiter, freshness: Freshness): void;
  /** The waiter no longer needs a stream. A dial in progress for it continues, for the next waiter. */
  cancel(waiter: StreamWaiter): void;
}

/** Waits for a stream. Exactly one of the two methods is called, unless `Origin.cancel` comes first. */
export interface StreamWaiter {
  readonly timeouts: BackendTimeouts;
  /** `http/1.1`: only that has what it asks for, such as another protocol or the authentication of a connection. */
  readonly carries: 'message' | 'websocket' | 'http/1.1';
  onStream(stream: BackendStream): void;
  onNoStream(code: ErrorCode, detail: string): void;
}

/** One request to a backend and its response. Each protocol that backends speak implements it. */
export interface BackendStream {
  /** Whether the connection has served before: if so, its end may be unrelated to this request. */
  readonly reused: boolean;
  /** After `ResponseSink.onBound`: whether it can still take a request. */
  readonly isFree: boolean;
  /** Whether the backend can tell that it has done nothing with a request: then it can be sent again, whatever its method. */
  readonly mayBeRefused: boolean;
  /** Queues the head. The caller then sends what it has of the body, and flushes. */
  start(sink: ResponseSink, request: RequestView, edits: FieldEdits): void;
  sendData(bytes: Buffer, start: number, end: number): void;
  /** Like `sendData`, for latin1 text. */
  sendText(text: string): void;
  sendEnd(trailers: FieldLines | null): void;
  /** Writes what is queued. @returns false if the backend does not keep up: `ResponseSink.onDrain` follows. */
  flush(): boolean;
  /** The client is slow: stops reading the response, and suspends the backend's deadline meanwhile. */
  pauseResponse(): void;
  resumeResponse(): void;
  /** The response is no longer wanted. The sink is not called again. */
  cancel(): void;
}

/** The attempt that a stream serves. Views of bytes are valid only during the call. */
export interface ResponseSink {
  readonly timeouts: BackendTimeouts;
  onInformational(response: ResponseView): void;
  onHead(response: ResponseView): void;
  onData(bytes: Buffer, start: number, end: number): void;
  /** All views of one read have been passed on: flush what they produced. */
  onFlush(): void;
  /**
   * The backend authenticates the connection, so that it must serve no other client. `onEnd` follows; then the stream is
   * free for the client's next request. Its owner ends it by `cancel`.
   */
  onBound(stream: BackendStream): void;
  /** The response is complete. The stream has already released its sink. */
  onEnd(trailers: FieldLines | null): void;
  /** The backend switched protocols, as requested: from now on the stream is one end of a tunnel. */
  onSwitch(response: ResponseView, endpoint: TunnelEndpoint): void;
  /** The response will never be complete. The stream has already released its sink. */
  onFailed(failure: Failure): void;
  /** The backend accepts data again, after `BackendStream.flush` returned false. */
  onDrain(): void;
}
