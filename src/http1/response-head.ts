import { CR, classOf, HEX, LF, SP, VALUE } from '../http/bytes.ts';
import { Field } from '../http/field-names.ts';
import { type HttpVersion, isConnectionScheme, type ResponseView } from '../http/message.ts';
import {
  type ConnectionOptions,
  Framing,
  Head,
  type HeadLimits,
  isChunked,
  NEED_MORE,
  REFUSED,
  readConnectionOptions,
} from './head.ts';
import { LooseHeadEnd, LooseHeadError, strictHead } from './loose-head.ts';

/** Offset of the status code in `HTTP/1.x nnn`. */
const STATUS_OFFSET = 9;
const STATUS_END = 12;

/** Refusals of heads that may have a strict form. */
const looseRefusals: readonly string[] = ['bare line feed', 'folded line', 'byte in field name'];

/**
 * One response head and its meaning, by RFC 9112 sections 4 and 6.3. One object serves message after message. A head
 * that is written loosely, and can be read in one way only, counts as its strict form: `text` then has that form.
 */
export class ResponseHead extends Head implements ResponseView {
  /** 100 to 999. */
  status = 0;
  /** 0 or 1. A higher minor version counts as 1 (RFC 9110 section 2.5). */
  versionMinor = 1;
  /** Whether the status line can be copied unchanged: HTTP/1.1, and a blank behind the status (RFC 9112 section 4). */
  plainStatusLine = true;
  /** NONE, LENGTH, CHUNKED or CLOSE. Always NONE for HEAD requests and for statuses without a body. */
  framing: Framing = Framing.NONE;
  contentLength = 0;
  /** Whether the backend allows another request on the connection. */
  keepAlive = true;
  hasDate = false;
  hasRetryAfter = false;
  authenticatesConnection = false;
  /** Whether the response is to a HEAD request; the reader sets it before `read`. */
  toHead = false;
  private loose: LooseHeadEnd | null = null;

  override reset(): void {
    super.reset();
    this.loose = null;
    this.status = 0;
    this.versionMinor = 1;
    this.plainStatusLine = true;
    this.framing = Framing.NONE;
    this.contentLength = 0;
    this.keepAlive = true;
    this.hasDate = false;
    this.hasRetryAfter = false;
    this.authenticatesConnection = false;
  }

  get version(): HttpVersion {
    return this.versionMinor === 1 ? '1.1' : '1.0';
  }

  get source(): string {
    return this.text;
  }

  get bodyLength(): number {
    if (this.framing === Framing.NONE) return 0;
    return this.framing === Framing.LENGTH ? this.contentLength : -1;
  }

  get isInformational(): boolean {
    return this.status < 200;
  }

  override read(bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
    if (this.loose === null) {
      const length = super.read(bytes, start, end, limits);
      if (length !== REFUSED || !looseRefusals.includes(this.refusal)) return length;
      this.reset();
      this.loose = new LooseHeadEnd();
    }
    return this.readLoose(this.loose, bytes, start, end, limits);
  }

  /** @returns the length of the head as it was sent, not that of `text`. */
  private readLoose(loose: LooseHeadEnd, bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
    const length = loose.find(bytes, start, Math.min(end, start + limits.headBytesMax));
    if (length === 0) return end - start >= limits.headBytesMax ? this.refuse('head too large') : NEED_MORE;
    try {
      const strict = Buffer.from(strictHead(bytes.latin1Slice(start, start + length)), 'latin1');
      const result = super.read(strict, 0, strict.length, { ...limits, headBytesMax: strict.length });
      return result === REFUSED ? REFUSED : length;
    } catch (error) {
      if (error instanceof LooseHeadError) return this.refuse(error.message);
      throw error;
    }
  }

  protected override readStartLine(bytes: Buffer, start: number, end: number): boolean {
    const classes = classOf;
    let at = start + this.position;
    for (; at < end && at - start < STATUS_END; at++) {
      if (!isExpectedByte(bytes[at] as number, at - start)) {
        this.refuse('status line');
        return false;
      }
    }
    // The reason phrase may be empty, with or without the space before it.
    while (at < end && ((classes[bytes[at] as number] as number) & VALUE) !== 0) {
      if (at - start === STATUS_END && bytes[at] !== SP) {
        this.refuse('status line');
        return false;
      }
      at++;
    }
    this.position = at - start;
    if (at < end && bytes[at] !== CR) {
      this.refuse(bytes[at] === LF ? 'bare line feed' : 'status line');
      return false;
    }
    // A CR may be the last byte so far: it is read again together with the byte after it.
    if (at + 1 >= end) return false;
    if (bytes[at + 1] !== LF) {
      this.refuse('bare carriage return');
      return false;
    }
    this.startLineEnd = at - start;
    this.position = at + 2 - start;
    const minorSent = (bytes[start + 7] as number) - 48;
    this.versionMinor = minorSent === 0 ? 0 : 1;
    this.plainStatusLine = minorSent === 1 && this.startLineEnd > STATUS_END;
    this.status =
      ((bytes[start + STATUS_OFFSET] as number) - 48) * 100 +
      ((bytes[start + STATUS_OFFSET + 1] as number) - 48) * 10 +
      ((bytes[start + STATUS_OFFSET + 2] as number) - 48);
    return true;
  }

  protected override interpret(): boolean {
    let lengths = 0;
    let codings = 0;
    let options: ConnectionOptions | null = null;
    for (let field = 0; field < this.fieldCount; field++) {
      switch (this.fieldNumber(field)) {
        case Field.OTHER:
          break;
        case Field.CONTENT_LENGTH:
          lengths++;
          this.contentLength = this.readLength(this.fieldValue(field));
          if (this.contentLength < 0) return this.refuseMeaning('content length');
          break;
        case Field.TRANSFER_ENCODING:
          codings++;
          if (!isChunked(this.fieldValue(field))) return this.refuseMeaning('transfer encoding');
          break;
        case Field.CONNECTION:
          options ??= { close: false, keepAlive: false, nominated: null };
          if (!readConnectionOptions(this.fieldValue(field), options)) return this.refuseMeaning('connection');
          break;
        case Field.DATE:
          this.hasDate = true;
          break;
        case Field.RETRY_AFTER:
          this.hasRetryAfter = true;
          break;
        case Field.WWW_AUTHENTICATE:
          if (isConnectionScheme(this.fieldValue(field))) this.authenticatesConnection = true;
          break;
      }
    }
    if (lengths > 1) return this.refuseMeaning('two content lengths');
    if (codings > 1) return this.refuseMeaning('two transfer encodings');
    if (codings > 0 && lengths > 0) return this.refuseMeaning('content length with transfer encoding');
    if (codings > 0 && this.versionMinor === 0) return this.refuseMeaning('transfer encoding on HTTP/1.0');
    if (options === null) {
      this.keepAlive = this.versionMinor === 1;
    } else {
      this.keepAlive = !options.close && (this.versionMinor === 1 || options.keepAlive);
      this.nominated = options.nominated;
    }
    this.framing = this.bodyFraming(lengths > 0, codings > 0);
    return true;
  }

  private bodyFraming(hasLength: boolean, isChunked: boolean): Framing {
    const { status } = this;
    if (status < 200 || status === 204 || status === 304 || this.toHead) return Framing.NONE;
    if (isChunked) return Framing.CHUNKED;
    if (!hasLength) return Framing.CLOSE;
    return this.contentLength > 0 ? Framing.LENGTH : Framing.NONE;
  }

  private refuseMeaning(why: string): false {
    this.refuse(why);
    return false;
  }
}

const versionBytes = Buffer.from('HTTP/1.', 'latin1');

/** Whether `byte` is allowed at `offset` of `HTTP/1.x nnn`. */
function isExpectedByte(byte: number, offset: number): boolean {
  if (offset < 7) return byte === versionBytes[offset];
  if (offset === 8) return byte === SP;
  const isDigit = ((classOf[byte] as number) & HEX) !== 0 && byte < 58;
  if (offset === 7) return isDigit;
  return isDigit && (offset !== STATUS_OFFSET || byte !== 48);
}
