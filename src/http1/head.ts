import { COLON, CR, classOf, HTAB, LF, SP, TOKEN, VALUE } from '../http/bytes.ts';
import { parseContentLength } from '../http/content-length.ts';
import { fieldNumberOf } from '../http/field-names.ts';
import { type FieldView, listElements } from '../http/message.ts';

/** Limits of one head, all inclusive. */
export interface HeadLimits {
  /** Bytes from the first of the start line through the last of the empty line. */
  readonly headBytesMax: number;
  readonly headFieldsMax: number;
  readonly targetBytesMax: number;
}

/** Results of `read`. A positive result is the length of the complete head. */
export const NEED_MORE = 0;
export const REFUSED = -1;

const START_LINE = 0;
const LINE_START = 1;
const NAME = 2;
const VALUE_START = 3;
const IN_VALUE = 4;
const LINE_FEED = 5;
const LAST_LINE_FEED = 6;
const DONE = 7;

/**
 * Numbers stored per field: its `Field` number, and the offsets of its line, of the end of its name, and of its value.
 */
const STRIDE = 5;

/**
 * The fields of one message head, scanned from bytes as they arrive; requests and responses add their start line. All
 * offsets count from the first byte of the head. A scan can stop at any byte: to continue, the caller passes the same
 * bytes again, followed by new ones. Nothing is scanned twice.
 *
 * The parser is strict (RFC 9112 sections 2.2 and 5): lines end with CR LF, a name is a token directly before its
 * colon, and folded lines and control bytes in values are refused.
 */
export abstract class Head implements FieldView {
  /** The complete head, one latin1 character per byte; set when it is complete. */
  text = '';
  fieldCount = 0;
  nominated: string[] | null = null;
  /** Why the head was refused, in a few words for logs; empty if it was not. */
  refusal = '';
  /** Whether the content length has leading zeros, which a recipient may take for octal. */
  isLengthPadded = false;
  /** End of the start line: the offset of its CR. */
  protected startLineEnd = 0;
  protected position = 0;
  private state = START_LINE;
  private readonly offsets: number[] = [];
  private lineStart = 0;
  private nameEnd = 0;
  private valueStart = 0;
  private valueEnd = 0;

  /** Prepares for the next message. */
  reset(): void {
    this.text = '';
    this.fieldCount = 0;
    this.nominated = null;
    this.refusal = '';
    this.isLengthPadded = false;
    this.startLineEnd = 0;
    this.position = 0;
    this.state = START_LINE;
  }

  /** Whether any byte of a head has been read. */
  get started(): boolean {
    return this.position > 0;
  }

  fieldNumber(field: number): number {
    return this.offsets[field * STRIDE] as number;
  }

  /** Offset of the first byte of the field's line. */
  lineOffset(field: number): number {
    return this.offsets[field * STRIDE + 1] as number;
  }

  /** Offset after the CR LF of the field's line. */
  lineEndOffset(field: number): number {
    return field + 1 < this.fieldCount ? (this.offsets[(field + 1) * STRIDE + 1] as number) : this.text.length - 2;
  }

  fieldName(field: number): string {
    return this.text.slice(this.offsets[field * STRIDE + 1] as number, this.offsets[field * STRIDE + 2] as number);
  }

  fieldValue(field: number): string {
    return this.text.slice(this.offsets[field * STRIDE + 3] as number, this.offsets[field * STRIDE + 4] as number);
  }

  /** Offset after the CR LF of the start line. */
  get firstFieldOffset(): number {
    return this.startLineEnd + 2;
  }

  /**
   * Scans `bytes[start, end)`; `start` is the first byte of the head.
   * @returns the length of the head when it is complete, else NEED_MORE or REFUSED.
   */
  read(bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
    const available = end - start;
    const scanEnd = start + Math.min(available, limits.headBytesMax);
    if (this.state === START_LINE) {
      if (!this.readStartLine(bytes, start, scanEnd, limits)) {
        if (this.refusal !== '') return REFUSED;
        return available >= limits.headBytesMax ? this.refuse('head too large') : NEED_MORE;
      }
      this.state = LINE_START;
    }
    if (!this.readFields(bytes, start, scanEnd, limits)) {
      if (this.refusal !== '') return REFUSED;
      return available >= limits.headBytesMax ? this.refuse('head too large') : NEED_MORE;
    }
    const length = this.position;
    this.text = bytes.latin1Slice(start, start + length);
    return this.interpret() ? length : REFUSED;
  }

  /**
   * Scans the start line from `position`. True once past its CR LF, with `startLineEnd` and `position` set; false if it
   * needs more bytes, or with `refusal` set.
   */
  protected abstract readStartLine(bytes: Buffer, start: number, end: number, limits: HeadLimits): boolean;

  /** Interprets the complete head; false with `refusal` set. */
  protected abstract interpret(): boolean;

  protected refuse(why: string): typeof REFUSED {
    this.refusal = why;
    return REFUSED;
  }

  /** In one piece: each state is a few lines, and a call would cost more than it does. */
  private readFields(bytes: Buffer, start: number, end: number, limits: HeadLimits): boolean {
    const classes = classOf;
    let at = start + this.position;
    let state = this.state;
    while (at < end) {
      switch (state) {
        case LINE_START: {
          const byte = bytes[at] as number;
          this.lineStart = at - start;
          if (byte === CR) {
            at++;
            state = LAST_LINE_FEED;
            break;
          }
          if (((classes[byte] as number) & TOKEN) === 0) {
            this.refuse(byte === SP || byte === HTAB ? 'folded line' : 'byte in field name');
            return false;
          }
          if (this.fieldCount >= limits.headFieldsMax) {
            this.refuse('too many fields');
            return false;
          }
          state = NAME;
          break;
        }
        case NAME: {
          while (at < end && ((classes[bytes[at] as number] as number) & TOKEN) !== 0) at++;
          if (at === end) break;
          if (bytes[at] !== COLON) {
            this.refuse('byte in field name');
            return false;
          }
          this.nameEnd = at - start;
          at++;
          state = VALUE_START;
          break;
        }
        case VALUE_START: {
          const byte = bytes[at] as number;
          if (byte === SP || byte === HTAB) {
            at++;
            break;
          }
          this.valueStart = at - start;
          state = IN_VALUE;
          break;
        }
        case IN_VALUE: {
          while (at < end && ((classes[bytes[at] as number] as number) & VALUE) !== 0) at++;
          if (at === end) break;
          if (bytes[at] !== CR) {
            this.refuse(bytes[at] === LF ? 'bare line feed' : 'control byte in field value');
            return false;
          }
          this.valueEnd = at - start;
          at++;
          state = LINE_FEED;
          break;
        }
        case LINE_FEED: {
          if (bytes[at] !== LF) {
            this.refuse('bare carriage return');
            return false;
          }
          at++;
          this.addField(bytes, start);
          state = LINE_START;
          break;
        }
        default: {
          // LAST_LINE_FEED: the empty line.
          if (bytes[at] !== LF) {
            this.refuse('bare carriage return');
            return false;
          }
          this.position = at + 1 - start;
          this.state = DONE;
          return true;
        }
      }
    }
    this.position = at - start;
    this.state = state;
    return false;
  }

  protected readLength(value: string): number {
    this.isLengthPadded = value.length > 1 && value.startsWith('0');
    return parseContentLength(value);
  }

  private addField(bytes: Buffer, start: number): void {
    let valueEnd = this.valueEnd;
    while (valueEnd > this.valueStart) {
      const byte = bytes[start + valueEnd - 1] as number;
      if (byte !== SP && byte !== HTAB) break;
      valueEnd--;
    }
    const offsets = this.offsets;
    const slot = this.fieldCount * STRIDE;
    offsets[slot] = fieldNumberOf(bytes, start + this.lineStart, start + this.nameEnd);
    offsets[slot + 1] = this.lineStart;
    offsets[slot + 2] = this.nameEnd;
    offsets[slot + 3] = this.valueStart;
    offsets[slot + 4] = valueEnd;
    this.fieldCount++;
  }
}

/** How the end of a message body is found (RFC 9112 section 6.3). */
export const Framing = { NONE: 0, LENGTH: 1, CHUNKED: 2, CLOSE: 3 } as const;
export type Framing = (typeof Framing)[keyof typeof Framing];

/** The content of a head's Connection fields. */
export interface ConnectionOptions {
  close: boolean;
  keepAlive: boolean;
  /** Lower-case names of the fields nominated as hop-by-hop; null for none. */
  nominated: string[] | null;
}

/** Whether the value of a Transfer-Encoding field is `chunked`, the only coding that is supported. */
export function isChunked(value: string): boolean {
  return value === 'chunked' || value.toLowerCase() === 'chunked';
}

/**
 * Whether the codings, other than `chunked` alone, are a valid list that ends with `chunked` (RFC 9112 section 6.1), so
 * that only the support for another coding is missing. @param value of all Transfer-Encoding fields, joined.
 */
export function areCodingsValid(value: string): boolean {
  const codings = listElements(value);
  const isFramed = codings.pop() === 'chunked';
  return (
    isFramed && codings.every((coding) => coding !== 'chunked' && isCoding(coding)) && !/^,|,[ \t]*(,|$)/.test(value)
  );
}

/** A transfer coding, with parameters that are tokens. */
function isCoding(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9a-z]+(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9a-z]+=[!#$%&'*+\-.^_`|~0-9a-z]+)*$/.test(text);
}

/**
 * Reads one `Connection` value into `options`. Elements that are not tokens, such as `timeout=5`, are ignored.
 * @returns false if it nominates a framing field, which must never be removed (CVE-2026-26365).
 */
export function readConnectionOptions(value: string, options: ConnectionOptions): boolean {
  if (value === 'keep-alive' || value === 'Keep-Alive') {
    options.keepAlive = true;
    return true;
  }
  if (value === 'close') {
    options.close = true;
    return true;
  }
  for (const token of listElements(value)) {
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(token)) continue;
    if (token === 'close') options.close = true;
    else if (token === 'keep-alive') options.keepAlive = true;
    else if (token === 'transfer-encoding' || token === 'content-length') return false;
    else {
      options.nominated ??= [];
      options.nominated.push(token);
    }
  }
  return true;
}
