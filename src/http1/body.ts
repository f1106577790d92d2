import { CR, classOf, HTAB, hexValue, LF, SEMICOLON, SP, VALUE } from '../http/bytes.ts';
import { Framing, type HeadLimits } from './head.ts';
import { TrailerSection } from './trailers.ts';

/** Receives the data of a body. The view is valid only during the call. */
export interface BodySink {
  onBodyData(bytes: Buffer, start: number, end: number): void;
}

const SIZE_FIRST = 0;
const SIZE = 1;
const SIZE_BLANKS = 8;
const EXTENSION = 2;
const SIZE_LINE_FEED = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILERS = 7;

/** Hexadecimal digits of a chunk size, without leading zeros: 13 stay within the safe integers. */
const sizeDigitsMax = 13;
/**
 * Limit for leading zeros, blanks and extensions of chunk sizes, which are read and dropped (RFC 9112 section 7.1.1 asks
 * for a limit). Each chunk
 * reduces the count by the allowance below and by two per byte of its data, so that an endless body can continue.
 */
const extensionBytesMax = 16 * 1024;
const extensionBytesPerChunk = 16;
const trailerFieldsMax = 32;

/**
 * Removes the framing from the body of a message: a state machine over views, which may end anywhere. One reader serves
 * message after message.
 */
export class BodyReader {
  framing: Framing = Framing.NONE;
  /**
   * Whether the body has been read completely. With CLOSE, only the end of the connection shows it: see
   * `connectionEnded`.
   */
  done = true;
  /** Why the framing is invalid; empty while it is valid. */
  refusal = '';
  /** The trailer fields of a chunked body, complete once `done`; null if there are none. */
  trailers: TrailerSection | null = null;
  private remaining = 0;
  private state = SIZE_FIRST;
  private digits = 0;
  private extensionBytes = 0;
  private trailerLimits: HeadLimits | null = null;
  private trailerBytes: Buffer | null = null;
  private readonly trailerBytesMax: number;
  private readonly mayEndWithBlanks: boolean;

  /**
   * @param trailerBytesMax largest trailer section, in bytes.
   * @param mayEndWithBlanks whether blanks may follow the size of a chunk, as some servers write them.
   */
  constructor(trailerBytesMax: number, mayEndWithBlanks = false) {
    this.trailerBytesMax = trailerBytesMax;
    this.mayEndWithBlanks = mayEndWithBlanks;
  }

  start(framing: Framing, contentLength: number): void {
    this.framing = framing;
    this.done = framing === Framing.NONE;
    this.refusal = '';
    this.trailers = null;
    this.remaining = contentLength;
    this.state = SIZE_FIRST;
    this.extensionBytes = 0;
    this.trailerBytes = null;
  }

  /** Consumes the body's part of `bytes[start, end)`. @returns where it stopped: done, refused, or at `end`. */
  read(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.done) return start;
    if (this.framing === Framing.LENGTH) {
      const stop = start + Math.min(end - start, this.remaining);
      this.remaining -= stop - start;
      if (this.remaining === 0) this.done = true;
      if (stop > start) sink.onBodyData(bytes, start, stop);
      return stop;
    }
    if (this.framing === Framing.CHUNKED) return this.readChunked(bytes, start, end, sink);
    if (end > start) sink.onBodyData(bytes, start, end);
    return end;
  }

  /** The peer ended the connection, and with it a body framed by CLOSE. @returns whether the body is complete. */
  connectionEnded(): boolean {
    if (this.framing === Framing.CLOSE) this.done = true;
    return this.done;
  }

  /** In one piece, like `Head.readFields`. */
  private readChunked(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case SIZE_FIRST: {
          const digit = hexValue[bytes[at] as number] as number;
          if (digit === 255) return this.refuse('chunk size', at);
          this.remaining = digit;
          this.digits = 1;
          this.state = SIZE;
          at++;
          break;
        }
        case SIZE: {
          const byte = bytes[at] as number;
          const digit = hexValue[byte] as number;
          if (digit !== 255) {
            if (this.remaining === 0) {
              if (++this.extensionBytes > extensionBytesMax) return this.refuse('chunk size', at);
            } else if (++this.digits > sizeDigitsMax) {
              return this.refuse('chunk size', at);
            }
            this.remaining = this.remaining * 16 + digit;
          } else if (byte === CR) this.state = SIZE_LINE_FEED;
          else if (byte === SEMICOLON) this.state = EXTENSION;
          else if (byte === SP || byte === HTAB) this.state = SIZE_BLANKS;
          else return this.refuse('chunk size', at);
          at++;
          break;
        }
        case SIZE_BLANKS: {
          // Before an extension (RFC 9112 section 7.1.1). Servers that pad sizes with blanks do it without one.
          const byte = bytes[at] as number;
          if (byte === SEMICOLON) this.state = EXTENSION;
          else if (byte === CR && this.mayEndWithBlanks) this.state = SIZE_LINE_FEED;
          else if ((byte !== SP && byte !== HTAB) || ++this.extensionBytes > extensionBytesMax) {
            return this.refuse('chunk size', at);
          }
          at++;
          break;
        }
        case EXTENSION: {
          const from = at;
          while (at < end && ((classOf[bytes[at] as number] as number) & VALUE) !== 0) at++;
          this.extensionBytes += at - from;
          if (this.extensionBytes > extensionBytesMax) return this.refuse('chunk extensions too long', at);
          if (at === end) break;
          if (bytes[at] !== CR) return this.refuse('chunk extension', at);
          at++;
          this.state = SIZE_LINE_FEED;
          break;
        }
        case SIZE_LINE_FEED: {
          if (bytes[at] !== LF) return this.refuse('chunk size line', at);
          at++;
          if (this.extensionBytes > 0) {
            this.extensionBytes = Math.max(0, this.extensionBytes - extensionBytesPerChunk - 2 * this.remaining);
          }
          this.state = this.remaining === 0 ? TRAILERS : DATA;
          break;
        }
        case DATA: {
          const stop = at + Math.min(end - at, this.remaining);
          this.remaining -= stop - at;
          sink.onBodyData(bytes, at, stop);
          at = stop;
          if (this.remaining === 0) this.state = DATA_CR;
          break;
        }
        case DATA_CR: {
          if (bytes[at] !== CR) return this.refuse('chunk end', at);
          at++;
          this.state = DATA_LF;
          break;
        }
        case DATA_LF: {
          if (bytes[at] !== LF) return this.refuse('chunk end', at);
          at++;
          this.state = SIZE_FIRST;
          break;
        }
        default:
          return this.readTrailers(bytes, at, end);
      }
    }
    return at;
  }

  private readTrailers(bytes: Buffer, start: number, end: number): number {
    // There are hardly ever any trailers, and the last two bytes are usually available.
    if (this.trailerBytes === null && end - start >= 2 && bytes[start] === CR && bytes[start + 1] === LF) {
      this.done = true;
      return start + 2;
    }
    this.trailers ??= new TrailerSection();
    this.trailerLimits ??= { headBytesMax: this.trailerBytesMax, headFieldsMax: trailerFieldsMax, targetBytesMax: 0 };
    const kept = this.trailerBytes;
    const keptLength = kept === null ? 0 : kept.length;
    let from = start;
    let view = bytes;
    let viewEnd = end;
    if (kept !== null) {
      view = Buffer.concat([kept, bytes.subarray(start, end)]);
      from = 0;
      viewEnd = view.length;
    }
    const length = this.trailers.read(view, from, viewEnd, this.trailerLimits);
    if (length < 0) return this.refuse(`trailer: ${this.trailers.refusal}`, start);
    if (length === 0) {
      this.trailerBytes = keptLength > 0 ? view : Buffer.from(bytes.subarray(start, end));
      return end;
    }
    this.trailerBytes = null;
    this.done = true;
    if (this.trailers.fieldCount === 0) this.trailers = null;
    return start + length - keptLength;
  }

  private refuse(why: string, at: number): number {
    this.refusal = why;
    return at;
  }
}
