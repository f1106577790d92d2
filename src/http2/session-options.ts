import type { BudgetLimits } from './budget.ts';
import type { SectionLimits } from './frame-reader.ts';
import type { HeaderField } from './header-field.ts';
import type { Http2Stream } from './stream.ts';

/** Where frames go: text and bytes that are written together once the session asks for it. */
export interface SessionOutput {
  append(text: string): void;
  /** The text, and the bytes behind it. */
  appendFramed(head: string, bytes: Buffer, start: number, end: number): void;
}

/** The connection that a session belongs to. */
export interface SessionOwner {
  /** A peer that is a client begins a stream. */
  onStream(stream: Http2Stream, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void;
  /** Something is queued that is to be written soon. */
  onOutput(): void;
  /** The peer has answered a ping: it has read all that was sent before. */
  onPingAck(): void;
  /** The handler of a stream threw. */
  onInternalError(error: Error): void;
  /** The settings of the peer have come, or changed. */
  onSettings(): void;
  /** The peer takes no more streams. Those that it has not begun with are reset afterwards. */
  onGoAway(code: number, debug: string): void;
}

export interface SessionOptions {
  readonly isServer: boolean;
  readonly limits: SectionLimits;
  /** Streams that the peer may have open at a time. */
  readonly streamsMax: number;
  /** The receive windows of a stream and of the connection, in bytes. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Of a server: whether it takes `:protocol` (RFC 8441). */
  readonly takesProtocols: boolean;
  readonly nowMs: () => number;
  /** For the frames of the peer that carry no message. Default: `defaultBudget`. */
  readonly budget?: BudgetLimits;
}
