import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../base/errors.ts';
import { isSameAuthority } from '../http/authority.ts';
import { classOf, TARGET, TOKEN } from '../http/bytes.ts';
import { parseContentLength } from '../http/content-length.ts';
import { Field } from '../http/field-names.ts';
import { isConnectionScheme, listElements, type RequestView } from '../http/message.ts';
import { HeaderField, Pseudo } from './header-field.ts';
import { HeaderFields } from './header-fields.ts';

/**
 * One request head and its meaning, strictly by RFC 9113 section 8 and RFC 8441. Of a refused one, the method and the target
 * are those that were read, for logs.
 */
export class Http2RequestHead extends HeaderFields implements RequestView {
  readonly version = '2';
  readonly offersProtocols = false;
  method = '';
  path = '';
  authority: string | null = null;
  /** `http` or `https`, as the client says. */
  scheme = '';
  protocol: string | null = null;
  bodyLength = 0;
  authenticatesConnection = false;
  expectContinue = false;
  /** Whether the client accepts trailers in the response. */
  takesTrailers = false;
  /** Why the head was refused, in a few words for logs; empty if it was not. */
  refusal = '';
  refusalCode: ErrorCode = 'REQUEST_INVALID';
  /** The field `priority` (RFC 9218 section 5); empty if there is none. */
  priority = '';
  /** Position of the field `accept`; -1 if there is none. */
  acceptField = -1;
  private cookies: string[] | null = null;
  private cookieField = -1;
  private host: string | null = null;
  private contentLength = -1;
  private isConnect = false;

  /**
   * @param fields of the whole section.
   * @param isTooLarge whether the section was larger than its limits.
   * @param endsStream whether the request has no body.
   */
  constructor(fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean, targetBytesMax: number) {
    super();
    let regular = 0;
    for (const field of fields) {
      const isGood = field.number < 0 ? regular === 0 && this.readPseudo(field) : this.readField(field);
      if (field.number >= 0) regular++;
      if (!isGood) {
        if (this.refusal === '') this.refuse('pseudo field behind others');
        return;
      }
    }
    if (this.cookies !== null && this.cookies.length > 1) this.joinCookies(this.cookies);
    if (isTooLarge) {
      this.refusalCode = 'REQUEST_HEAD_TOO_LARGE';
      this.refuse('head too large');
      return;
    }
    if (this.path.length > targetBytesMax) {
      this.refusalCode = 'REQUEST_TARGET_TOO_LONG';
      this.refuse('target too long');
      return;
    }
    if (!this.readTarget()) return;
    if (this.protocol === null) this.readLength(endsStream);
    else this.beHandshake(endsStream);
  }

  get target(): string {
    return this.path;
  }

  value(number: number): string | null {
    for (let field = this.fields.length - 1; field >= 0; field--) {
      const { number: found, value } = this.fields[field] as HeaderField;
      if (found === number) return value;
    }
    return null;
  }

  /** Each pseudo field may be there once, with a value, before all others (RFC 9113 section 8.3). */
  private readPseudo({ name, number, problem, value }: HeaderField): boolean {
    if (problem !== '') return this.refuse(problem);
    switch (number) {
      case Pseudo.METHOD:
        if (this.method !== '' || !isOf(value, TOKEN)) return this.refuse(name);
        this.method = value;
        this.isConnect = value === 'CONNECT';
        return true;
      case Pseudo.SCHEME:
        if (this.scheme !== '' || (value !== 'https' && value !== 'http')) return this.refuse(name);
        this.scheme = value;
        return true;
      case Pseudo.PATH:
        if (this.path !== '' || !isOf(value, TARGET)) return this.refuse(name);
        this.path = value;
        return true;
      case Pseudo.AUTHORITY:
        // RFC 9113 section 8.3.1: without user information.
        if (this.authority !== null || value === '' || value.includes('@')) return this.refuse(name);
        this.authority = value;
        return true;
      case Pseudo.PROTOCOL:
        if (this.protocol !== null || !isOf(value, TOKEN)) return this.refuse(name);
        this.protocol = value;
        return true;
      default:
        return this.refuse('unknown pseudo field');
    }
  }

  private readField(field: HeaderField): boolean {
    const { name, number, problem, value } = field;
    if (problem !== '') return this.refuse(problem);
    switch (number) {
      case Field.OTHER:
        if (name === 'cookie') {
          if (this.cookies !== null) {
            this.cookies.push(value);
            return true;
          }
          this.cookies = [value];
          this.cookieField = this.fields.length;
        } else if (name === 'sec-websocket-key') {
          // Hipache makes it (RFC 8441 section 5), and the client has none.
          return true;
        } else if (name === 'priority') this.priority = value;
        break;
      case Field.HOST:
        if (this.host !== null) return this.refuse('two hosts');
        this.host = value;
        return true;
      case Field.CONTENT_LENGTH: {
        const length = parseContentLength(value);
        if (length < 0 || this.contentLength >= 0) return this.refuse('content length');
        this.contentLength = length;
        // Without leading zeros, which a backend may take for octal.
        if (value !== String(length)) {
          this.fields.push(new HeaderField(name, String(length), number));
          return true;
        }
        break;
      }
      case Field.TRANSFER_ENCODING:
      case Field.CONNECTION:
      case Field.HOP:
      case Field.UPGRADE:
        // RFC 9113 section 8.2.2.
        return this.refuse('connection-specific field');
      case Field.TE:
        if (value.toLowerCase() !== 'trailers') return this.refuse('te');
        this.takesTrailers = true;
        return true;
      case Field.FRAMING_ALIAS:
        return this.refuse('alias of a framing field');
      case Field.EXPECT:
        if (!this.readExpectations(value)) return false;
        break;
      case Field.AUTHORIZATION:
        if (isConnectionScheme(value)) this.authenticatesConnection = true;
        break;
      case Field.ACCEPT:
        this.acceptField = this.fields.length;
        break;
    }
    this.fields.push(field);
    return true;
  }

  /** As of HTTP/1: backends disagree about unknown ones. */
  private readExpectations(value: string): boolean {
    for (const expectation of listElements(value)) {
      if (expectation !== '100-continue') {
        this.refusalCode = 'REQUEST_EXPECTATION';
        return this.refuse('expectation');
      }
      this.expectContinue = true;
    }
    return true;
  }

  /** RFC 9113 section 8.2.3: for servers of HTTP/1, cookies are one field. */
  private joinCookies(cookies: readonly string[]): void {
    this.fields[this.cookieField] = new HeaderField('cookie', cookies.join('; '), Field.OTHER);
  }

  private readTarget(): boolean {
    const { authority, host, isConnect, path, protocol, scheme } = this;
    if (this.method === '') return this.refuse('no method');
    if (protocol !== null && !isConnect) return this.refuse(':protocol without CONNECT');
    if (isConnect && protocol !== 'websocket') {
      this.refusalCode = 'REQUEST_METHOD';
      return this.refuse(protocol === null ? 'method' : ':protocol');
    }
    if (scheme === '' || path === '') return this.refuse(scheme === '' ? 'no scheme' : 'no path');
    if (path.charCodeAt(0) !== 47 && !(path === '*' && this.method === 'OPTIONS')) return this.refuse(':path');
    if (authority !== null && host !== null && !isSameAuthority(authority, host, scheme)) {
      return this.refuse('authority and host differ');
    }
    // A request without both names no host, as one of HTTP/1.0 without Host.
    this.authority = authority ?? (host === '' ? null : host);
    return true;
  }

  /** RFC 9113 section 8.1.1: a length that is not that of the body makes a request malformed. */
  private readLength(endsStream: boolean): boolean {
    const { contentLength } = this;
    if (endsStream && contentLength > 0) return this.refuse('content length without a body');
    this.bodyLength = endsStream ? 0 : contentLength;
    return true;
  }

  /**
   * RFC 8441 section 5: becomes the handshake of HTTP/1.1, with a key of its own. The stream stays open for the tunnel, and has no
   * body.
   */
  private beHandshake(endsStream: boolean): void {
    // A backend would take the next request on its connection for the body.
    const problem = endsStream ? 'websocket without a stream' : this.contentLength >= 0 ? 'websocket with a body' : '';
    if (problem !== '' || this.expectContinue) {
      this.refuse(problem || 'websocket with an expectation');
      return;
    }
    this.method = 'GET';
    const key = randomBytes(16).toString('base64');
    this.fields.push(new HeaderField('sec-websocket-key', key, Field.OTHER));
  }

  private refuse(why: string): false {
    this.refusal = why;
    return false;
  }
}

function isOf(value: string, bytes: number): boolean {
  for (let at = 0; at < value.length; at++) if (((classOf[value.charCodeAt(at)] as number) & bytes) === 0) return false;
  return value !== '';
}
