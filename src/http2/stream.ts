import type { FieldLines } from '../http/field-lines.ts';
import { trailersBlock } from './encode-fields.ts';
import type { HeaderField } from './header-field.ts';
import type { Session } from './session.ts';

/**
 * Who has ended a stream before its time: the peer, by RST_STREAM; the peer, which has certainly done nothing with it; this side,
 * because the peer broke the protocol; or the end of the connection.
 */
export type ResetCause = 'peer' | 'refused' | 'violation' | 'connection';

/** The user of a stream. Views of bytes are valid only during the call. */
export interface StreamHandler {
  /** A response, an informational one, or the trailers of either kind of message. */
  onFields(fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void;
  onData(bytes: Buffer, start: number, end: number): void;
  /** All views of one read have been passed on. */
  onFlush(): void;
  /** The peer has sent all, without trailers. */
  onEnd(): void;
  /** After `flush` returned false: everything queued has left. */
  onDrain(): void;
  /** The stream has ended before its time: `onClosed` follows. */
  onReset(code: number, detail: string, cause: ResetCause): void;
  /** The last call: the stream has ended on both sides, or was reset by either. */
  onClosed(): void;
}

/** The lowest urgency (RFC 9218 section 4.1), and that of streams which name none. */
export const urgencyMax = 7;
/** Data of at least so many bytes is copied once, into the frames; less is joined with the rest of its turn. */
const directBytesMin = 4096;
const urgencyDefault = 3;

/** One stream of a connection: what it has still to send, its windows and its end. */
export class Http2Stream {
  readonly id: number;
  private readonly session: Session;
  handler: StreamHandler | null = null;
  /** Bytes that the peer accepts, and that it may still send; negative after its settings have changed. */
  sendWindow: number;
  receiveWindow: number;
  /** Bytes that were taken and for which the peer has no window yet. */
  owedBytes = 0;
  /** Of those, the ones that came while they were not wanted. */
  keptBytes = 0;
  /** The peer gets no more window while its bytes are not wanted. */
  isPaused = false;
  hasSentEnd = false;
  hasReceivedEnd = false;
  /** Whether the peer's headers, apart from informational ones, have come: what follows are trailers. */
  hasReceivedHead = false;
  /** Bytes of the body that are to come by its content length; -1 if it has none. */
  expectedBytes = -1;
  /** RFC 9218 section 4. */
  urgency = urgencyDefault;
  isIncremental = false;
  /** Data of this turn, less than a frame, which may become the last one. */
  private held = '';
  /** Data behind `held` that windows or the socket hold up, and its length in bytes. */
  private readonly queue: string[] = [];
  private queuedBytes = 0;
  /** Whether the stream ends behind the queue, and its trailers: encoded once they leave, because the peer decodes in that order. */
  private isEnding = false;
  private trailers: FieldLines | null = null;
  /** `flush` has returned false. */
  private needsDrain = false;
  /** Nothing can be sent any more. */
  isClosed = false;
  /** `stopReceiving` was called: what comes is no concern of the handler. */
  stopsReceiving = false;
  resetsAtEnd = false;
  /** In the session's lists of streams that have had something in this read, and that wait. */
  isFed = false;
  isWaiting = false;

  constructor(session: Session, id: number, sendWindow: number, receiveWindow: number) {
    this.session = session;
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** Sends a header section that is not the last one. */
  sendFields(block: string): void {
    if (this.isClosed) return;
    this.session.sendHeaders(this, block, false);
  }

  /** Sends the only header section. */
  sendOnlyFields(block: string): void {
    if (this.isClosed) return;
    this.hasSentEnd = true;
    this.session.sendHeaders(this, block, true);
    this.session.closeIfDone(this);
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    const { frameBytesMax } = this.session;
    if (end - start >= directBytesMin && this.hasWindow(this.held.length + end - start)) {
      this.letGo();
      for (let at = start; at < end; at += frameBytesMax) {
        this.session.sendBytes(this, bytes, at, Math.min(end, at + frameBytesMax));
      }
      return;
    }
    this.sendText(bytes.latin1Slice(start, end));
  }

  /** The same for latin1 text. */
  sendText(text: string): void {
    if (this.isClosed) return;
    const { frameBytesMax } = this.session;
    let at = 0;
    while (at < text.length) {
      if (this.held.length === frameBytesMax) this.letGo();
      const taken = Math.min(text.length - at, frameBytesMax - this.held.length);
      this.held += taken === text.length ? text : text.slice(at, at + taken);
      at += taken;
    }
  }

  sendEnd(trailers: FieldLines | null): void {
    if (this.isClosed) return;
    this.isEnding = true;
    this.trailers = trailers;
    this.letGo();
    if (this.queue.length === 0 && !this.hasSentEnd) this.finish();
  }

  /** @returns false if the peer does not keep up: `onDrain` follows. */
  flush(): boolean {
    this.letGo();
    if (this.isClosed || this.hasSentEnd || (this.queue.length === 0 && this.session.isFlowing)) return true;
    this.needsDrain = true;
    return false;
  }

  /** Bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.queuedBytes + this.held.length;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused || this.isClosed) return;
    this.isPaused = false;
    this.session.credit(this);
  }

  /**
   * Nobody wants the rest of the request: it is passed over.
   * @param resets whether the stream ends once the response has been sent, without the rest.
   */
  stopReceiving(resets: boolean): void {
    if (this.hasReceivedEnd || this.isClosed) return;
    this.stopsReceiving = true;
    this.resetsAtEnd = resets;
    this.resume();
    this.session.closeIfDone(this);
  }

  /** Ends the stream at once: `onClosed` follows. */
  reset(code: number): void {
    this.session.resetStream(this, code);
  }

  /** @internal The read that had something of this stream is over. */
  flushReceived(): void {
    this.isFed = false;
    if (this.stopsReceiving) return;
    this.handler?.onFlush();
    // The handler may have paused the stream, or not.
    if (!this.hasReceivedEnd) this.session.credit(this);
  }

  /** @internal Nothing more is sent. */
  drop(): void {
    this.isClosed = true;
    this.held = '';
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.isEnding = false;
    const { handler } = this;
    this.handler = null;
    handler?.onClosed();
  }

  /**
   * @internal Sends up to `bytesMax` of what waits, as far as the windows allow. @returns how many bytes were sent; fewer
   * than all that waits if a window holds the rest up.
   */
  pump(bytesMax: number): number {
    const { session } = this;
    let sent = 0;
    while (sent < bytesMax) {
      const [first] = this.queue;
      if (first === undefined) break;
      const length = Math.min(first.length, this.sendWindow, session.sendWindow, bytesMax - sent);
      if (length <= 0) return sent;
      const isWhole = length === first.length;
      if (isWhole) this.queue.shift();
      else this.queue[0] = first.slice(length);
      this.queuedBytes -= length;
      sent += length;
      const isLast = this.queue.length === 0 && this.isEnding && this.trailers === null;
      session.sendFrame(this, isWhole ? first : first.slice(0, length), isLast);
      if (isLast) this.ended();
    }
    if (this.queue.length === 0 && this.isEnding && !this.hasSentEnd) this.finish();
    return sent;
  }

  /** @internal Everything has left as far as this connection is concerned. */
  tellDrained(): void {
    if (!this.needsDrain || this.queue.length > 0) return;
    this.needsDrain = false;
    this.handler?.onDrain();
  }

  get hasQueue(): boolean {
    return this.queue.length > 0;
  }

  /** Sends what is held, or queues it behind what waits. */
  private letGo(): void {
    const { held, session } = this;
    if (held === '') return;
    this.held = '';
    const { length } = held;
    if (this.hasWindow(length)) {
      const isLast = this.isEnding && this.trailers === null;
      session.sendFrame(this, held, isLast);
      if (isLast) this.ended();
      return;
    }
    this.queue.push(held);
    this.queuedBytes += length;
    // As much as fits: the peer may not open the window before it has that.
    if (this.queue.length === 1 && session.isFlowing) this.pump(length);
    session.wait(this);
  }

  /** Whether so many bytes can be sent now. */
  private hasWindow(bytes: number): boolean {
    const { isFlowing, sendWindow } = this.session;
    return this.queue.length === 0 && isFlowing && bytes <= this.sendWindow && bytes <= sendWindow;
  }

  /** Ends a stream whose data has been sent. */
  private finish(): void {
    const { session, trailers } = this;
    if (trailers === null) session.sendFrame(this, '', true);
    else session.sendHeaders(this, trailersBlock(session.encoder, trailers), true);
    this.ended();
  }

  private ended(): void {
    this.hasSentEnd = true;
    this.session.closeIfDone(this);
  }
}
