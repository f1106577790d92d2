import type { ErrorCode } from '../base/errors.ts';
import type { FieldEdits, FieldLines } from '../http/field-lines.ts';
import type { RequestView, ResponseView } from '../http/message.ts';
import type { Failure } from './failure.ts';
import type { TunnelOpening } from './server-stream.ts';

/** The way to one address: gives streams, over connections that it keeps, makes and bounds. */
export interface Origin {
  /**
   * Gives the waiter a stream, at once or later: on a kept connection, a new one, or the next to become free.
   * @param unusedMsMax a kept connection is used only if it served within this time; 0 asks for a new one.
   */
  acquire(waiter: StreamWaiter, unusedMsMax: number): void;
  /** The waiter needs no stream any more. A connection that is being made for it goes on, for the next one. */
  cancel(waiter: StreamWaiter): void;
}

/** Waits for a stream. Exactly one of the two is called, unless `Origin.cancel` comes first. */
export interface StreamWaiter {
  onStream(stream: BackendStream): void;
  onNoStream(code: ErrorCode, detail: string): void;
}

/** One request to a backend and its response: implemented for each protocol that backends speak. */
export interface BackendStream {
  /** Whether its connection has served before, so that its end may have nothing to do with this request. */
  readonly reused: boolean;
  /** Queues the head; the caller adds what it has of the body, and flushes. */
  start(sink: ResponseSink, request: RequestView, edits: FieldEdits): void;
  sendData(bytes: Buffer, start: number, end: number): void;
  /** As `sendData`, of latin1 text. */
  sendText(text: string): void;
  sendEnd(trailers: FieldLines | null): void;
  /** Writes what is queued. @returns false if the backend does not keep up: `ResponseSink.onDrain` follows. */
  flush(): boolean;
  /** The client is slow: reads no more of the response, and does not hold that against the backend. */
  pauseResponse(): void;
  resumeResponse(): void;
  /** The response is not wanted any more. Nothing is called after this. */
  cancel(): void;
}

/** The attempt that a stream serves. Views of bytes are valid only during the call. */
export interface ResponseSink {
  onInformational(response: ResponseView): void;
  onHead(response: ResponseView): void;
  onData(bytes: Buffer, start: number, end: number): void;
  /** The views of one read have all been passed on: write what came of them. */
  onFlush(): void;
  /** The response is whole, and the stream has let go of its sink. */
  onEnd(trailers: FieldLines | null): void;
  /** The backend switched protocols, as the request asked: the stream is one end of a tunnel from here on. */
  onSwitch(response: ResponseView, opening: TunnelOpening): void;
  /** No whole response will come, and the stream has let go of its sink. */
  onFailed(failure: Failure): void;
  /** The backend takes more again, after `BackendStream.flush` returned false. */
  onDrain(): void;
}
