import type { ErrorCode } from '../base/errors.ts';
import { isSameAuthority } from '../http/authority.ts';
import { CR, classOf, LF, SP, TARGET, TOKEN } from '../http/bytes.ts';
import { Field } from '../http/field-names.ts';
import {
  type HttpVersion,
  isConnectionScheme,
  joinedValues,
  listElements,
  namesProtocol,
  type RequestView,
} from '../http/message.ts';
import {
  areCodingsValid,
  type ConnectionOptions,
  Framing,
  Head,
  type HeadLimits,
  isChunked,
  readConnectionOptions,
} from './head.ts';

const METHOD = 0;
const TARGET_PART = 1;
const VERSION = 2;
const END = 3;
const VERSION_LENGTH = 8;

/**
 * One request head and its meaning, strictly by RFC 9112 sections 3 and 6. One object serves a connection, message
 * after message; its values are valid until the next `reset`.
 */
export class RequestHead extends Head implements RequestView {
  method = '';
  /** As the client sent it: origin-form, absolute-form or `*`. */
  target = '';
  /** 0 or 1. A higher minor version counts as 1 (RFC 9110 section 2.5). */
  versionMinor = 1;
  /** The target for the backend: `target` in origin-form, or `*`. */
  path = '';
  /** The effective authority: the Host field's, checked against an absolute-form target; null if none is named. */
  authority: string | null = null;
  /** Whether the start line can be copied unchanged. */
  plainStartLine = true;
  framing: Framing = Framing.NONE;
  /** In bytes; meaningful if `framing` is LENGTH. */
  contentLength = 0;
  /** Whether the client allows another request on the connection. */
  keepAlive = true;
  expectContinue = false;
  /** Whether the client accepts trailers in the response. */
  takesTrailers = false;
  /** The protocol to which the client asks to switch, if it is supported. The handshake is not checked yet. */
  protocol: string | null = null;
  offersProtocols = false;
  authenticatesConnection = false;
  /** Positions of fields for logs and debugging; -1 if absent. */
  refererField = -1;
  userAgentField = -1;
  debugField = -1;
  acceptField = -1;
  loopField = -1;
  /** The code for a refused head. */
  refusalCode: ErrorCode = 'REQUEST_INVALID';

  /** As the client sent it. */
  private minorSent = 1;
  private part = METHOD;
  private skipped = 0;
  private methodEnd = 0;
  private targetEnd = 0;

  override reset(): void {
    super.reset();
    this.method = '';
    this.target = '';
    this.path = '';
    this.versionMinor = 1;
    this.authority = null;
    this.plainStartLine = true;
    this.framing = Framing.NONE;
    this.contentLength = 0;
    this.keepAlive = true;
    this.expectContinue = false;
    this.takesTrailers = false;
    this.protocol = null;
    this.offersProtocols = false;
    this.authenticatesConnection = false;
    this.refererField = -1;
    this.userAgentField = -1;
    this.debugField = -1;
    this.acceptField = -1;
    this.loopField = -1;
    this.refusalCode = 'REQUEST_INVALID';
    this.minorSent = 1;
    this.part = METHOD;
    this.skipped = 0;
  }

  protected override readStartLine(bytes: Buffer, start: number, end: number, limits: HeadLimits): boolean {
    const classes = classOf;
    let at = start + this.position;
    for (;;) {
      if (at >= end) break;
      if (this.part === METHOD) {
        // One empty line before the request is skipped (RFC 9112 section 2.2).
        if (at - start === this.skipped && this.skipped < 2) {
          const byte = bytes[at] as number;
          if (this.skipped === 0 ? byte === CR : byte === LF) {
            this.skipped++;
            at++;
            continue;
          }
          if (this.skipped === 1) return this.refuseStartLine('bare carriage return');
        }
        while (at < end && ((classes[bytes[at] as number] as number) & TOKEN) !== 0) at++;
        if (at === end) break;
        if (bytes[at] !== SP || at - start === this.skipped) return this.refuseStartLine('request line');
        this.methodEnd = at - start;
        at++;
        this.part = TARGET_PART;
      } else if (this.part === TARGET_PART) {
        while (at < end && ((classes[bytes[at] as number] as number) & TARGET) !== 0) at++;
        if (at - start - this.methodEnd - 1 > limits.targetBytesMax) {
          this.refusalCode = 'REQUEST_TARGET_TOO_LONG';
          return this.refuseStartLine('target too long');
        }
        if (at === end) break;
        if (bytes[at] !== SP || at - start === this.methodEnd + 1) return this.refuseStartLine('request line');
        this.targetEnd = at - start;
        at++;
        this.part = VERSION;
      } else if (this.part === VERSION) {
        const versionEnd = start + this.targetEnd + 1 + VERSION_LENGTH;
        while (at < end && at < versionEnd && (bytes[at] as number) > SP) at++;
        if (at < versionEnd) {
          if (at === end) break;
          return this.refuseStartLine('request line');
        }
        this.part = END;
      } else {
        this.startLineEnd = start + this.targetEnd + 1 + VERSION_LENGTH - start;
        if (at - start === this.startLineEnd) {
          if (bytes[at] !== CR) return this.refuseStartLine(bytes[at] === LF ? 'bare line feed' : 'request line');
          at++;
        } else {
          if (bytes[at] !== LF) return this.refuseStartLine('bare carriage return');
          this.position = at + 1 - start;
          return this.readVersion(bytes, start);
        }
      }
    }
    this.position = at - start;
    return false;
  }

  get version(): HttpVersion {
    return this.versionMinor === 1 ? '1.1' : '1.0';
  }

  get bodyLength(): number {
    return this.framing === Framing.CHUNKED ? -1 : this.framing === Framing.LENGTH ? this.contentLength : 0;
  }

  value(number: number): string | null {
    const field = this.fieldOf(number);
    return field < 0 ? null : this.fieldValue(field);
  }

  /** Position of the last field with this number; -1 if there is none. */
  private fieldOf(number: number): number {
    switch (number) {
      case Field.REFERER:
        return this.refererField;
      case Field.USER_AGENT:
        return this.userAgentField;
      case Field.X_DEBUG:
        return this.debugField;
      case Field.ACCEPT:
        return this.acceptField;
      case Field.CDN_LOOP:
        return this.loopField;
    }
    for (let field = this.fieldCount - 1; field >= 0; field--) if (this.fieldNumber(field) === number) return field;
    return -1;
  }

  /** Offset of the start line: after an empty line that was skipped. */
  get startLineOffset(): number {
    return this.skipped;
  }

  protected override refuse(why: string): -1 {
    if (why === 'head too large' || why === 'too many fields') this.refusalCode = 'REQUEST_HEAD_TOO_LARGE';
    return super.refuse(why);
  }

  protected override interpret(): boolean {
    const { text } = this;
    this.method = text.slice(this.skipped, this.methodEnd);
    this.target = text.slice(this.methodEnd + 1, this.targetEnd);
    if (!this.readFieldMeanings()) return false;
    return this.readTarget();
  }

  private readVersion(bytes: Buffer, start: number): boolean {
    const at = start + this.targetEnd + 1;
    // "HTTP/1." as bytes.
    const isHttp =
      bytes[at] === 72 && bytes[at + 1] === 84 && bytes[at + 2] === 84 && bytes[at + 3] === 80 && bytes[at + 4] === 47;
    const major = (bytes[at + 5] as number) - 48;
    const minor = (bytes[at + 7] as number) - 48;
    if (!isHttp || bytes[at + 6] !== 46 || major < 0 || major > 9 || minor < 0 || minor > 9) {
      return this.refuseStartLine('request line');
    }
    if (major !== 1) {
      this.refusalCode = 'REQUEST_VERSION';
      return this.refuseStartLine('version');
    }
    this.minorSent = minor;
    this.versionMinor = minor === 0 ? 0 : 1;
    return true;
  }

  private refuseStartLine(why: string): false {
    this.refuse(why);
    return false;
  }

  private readFieldMeanings(): boolean {
    let hosts = 0;
    let lengths = 0;
    let codings = 0;
    let upgrades = false;
    let options: ConnectionOptions | null = null;
    for (let field = 0; field < this.fieldCount; field++) {
      const number = this.fieldNumber(field);
      switch (number) {
        case Field.OTHER:
          break;
        case Field.HOST:
          hosts++;
          // Empty if the URI has no authority (RFC 9112 section 3.2).
          this.authority = this.fieldValue(field) || null;
          break;
        case Field.CONTENT_LENGTH:
          lengths++;
          this.contentLength = this.readLength(this.fieldValue(field));
          if (this.contentLength < 0) return this.refuseMeaning('content length');
          break;
        case Field.TRANSFER_ENCODING:
          codings++;
          if (!isChunked(this.fieldValue(field))) return this.refuseCodings();
          break;
        case Field.CONNECTION:
          options ??= { close: false, keepAlive: false, nominated: null };
          if (!readConnectionOptions(this.fieldValue(field), options)) return this.refuseMeaning('connection');
          break;
        case Field.TE:
          if (/(^|,)[ \t]*trailers[ \t]*(,|;|$)/i.test(this.fieldValue(field))) this.takesTrailers = true;
          break;
        case Field.EXPECT:
          if (!this.readExpectations(this.fieldValue(field))) return false;
          break;
        case Field.FRAMING_ALIAS:
          return this.refuseMeaning('alias of a framing field');
        case Field.UPGRADE:
          upgrades = true;
          break;
        case Field.REFERER:
          this.refererField = field;
          break;
        case Field.USER_AGENT:
          this.userAgentField = field;
          break;
        case Field.X_DEBUG:
          this.debugField = field;
          break;
        case Field.ACCEPT:
          this.acceptField = field;
          break;
        case Field.CDN_LOOP:
          this.loopField = field;
          break;
        case Field.AUTHORIZATION:
          if (isConnectionScheme(this.fieldValue(field))) this.authenticatesConnection = true;
          break;
      }
    }
    if (hosts > 1) return this.refuseMeaning('two hosts');
    this.readConnection(options);
    // Upgrade means nothing in HTTP/1.0, or if Connection does not name it (RFC 9110 section 7.8).
    if (upgrades && this.versionMinor === 1 && this.nominated?.includes('upgrade') === true) {
      if (namesProtocol(this, 'websocket')) this.protocol = 'websocket';
      else this.offersProtocols = true;
    }
    return this.readFraming(lengths, codings);
  }

  /** Of the protocols that the client offers, the first one that it may switch to. @param allowed in lower case. */
  chooseProtocol(allowed: ReadonlySet<string>): void {
    const tokens = (joinedValues(this, Field.UPGRADE) ?? '')
      .split(',')
      .map((token) => token.replace(/^[ \t]+|[ \t]+$/g, ''));
    this.protocol = tokens.find((token) => allowed.has(token.toLowerCase())) ?? null;
  }

  /** A coding that is valid and not supported is another error than one that cannot frame a body. */
  private refuseCodings(): false {
    if (areCodingsValid(joinedValues(this, Field.TRANSFER_ENCODING) ?? ''))
      this.refusalCode = 'REQUEST_TRANSFER_CODING';
    return this.refuseMeaning('transfer encoding');
  }

  /** Any other expectation is refused (RFC 9110 section 10.1.1): backends disagree about unknown ones. */
  private readExpectations(value: string): boolean {
    for (const expectation of listElements(value)) {
      if (expectation !== '100-continue') {
        this.refusalCode = 'REQUEST_EXPECTATION';
        return this.refuseMeaning('expectation');
      }
      this.expectContinue = this.versionMinor === 1;
    }
    return true;
  }

  private readConnection(options: ConnectionOptions | null): void {
    if (options === null) {
      this.keepAlive = this.versionMinor === 1;
    } else {
      this.keepAlive = !options.close && (this.versionMinor === 1 || options.keepAlive);
      this.nominated = options.nominated;
    }
  }

  /** How the body ends: RFC 9112 section 6.3, except that contradictory fields are refused. */
  private readFraming(lengths: number, codings: number): boolean {
    if (lengths > 1) return this.refuseMeaning('two content lengths');
    if (codings > 1) return this.refuseMeaning('two transfer encodings');
    if (codings > 0) {
      if (lengths > 0) return this.refuseMeaning('content length with transfer encoding');
      if (this.versionMinor === 0) return this.refuseMeaning('transfer encoding on HTTP/1.0');
      this.framing = Framing.CHUNKED;
    } else if (lengths > 0) {
      this.framing = this.contentLength > 0 ? Framing.LENGTH : Framing.NONE;
    }
    return true;
  }

  private readTarget(): boolean {
    const { target, method } = this;
    if (method === 'CONNECT') {
      this.refusalCode = 'REQUEST_METHOD';
      return this.refuseMeaning('method');
    }
    if (target.charCodeAt(0) === 47) {
      this.path = target;
      this.plainStartLine = this.minorSent === 1;
      return true;
    }
    this.plainStartLine = false;
    if (target === '*') {
      if (method !== 'OPTIONS') return this.refuseMeaning('target');
      this.path = target;
      return true;
    }
    return this.readAbsoluteTarget();
  }

  private readAbsoluteTarget(): boolean {
    const match = /^(https?|wss?):\/\/([^/?@]+)([/?].*)?$/i.exec(this.target);
    if (match === null) return this.refuseMeaning('target');
    const scheme = (match[1] as string).toLowerCase();
    const authority = match[2] as string;
    if (scheme.startsWith('w') && this.protocol !== 'websocket') return this.refuseMeaning('target');
    // RFC 9112 section 3.2: HTTP/1.1 requires Host, whatever the target.
    if (this.versionMinor === 1 && this.authority === null) return this.refuseMeaning('no host');
    // RFC 9112 section 3.2.2 prefers the target. A different Host is refused, because backends may disagree about it.
    if (this.authority !== null && !isSameAuthority(this.authority, authority, scheme)) {
      return this.refuseMeaning('target and host differ');
    }
    this.authority = authority;
    const rest = match[3];
    if (rest === undefined) this.path = this.method === 'OPTIONS' ? '*' : '/';
    else this.path = rest.startsWith('?') ? `/${rest}` : rest;
    return true;
  }

  private refuseMeaning(why: string): false {
    this.refuse(why);
    return false;
  }
}
