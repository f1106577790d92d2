import { parseContentLength } from '../http/content-length.ts';
import { Field } from '../http/field-names.ts';
import type { ResponseView } from '../http/message.ts';
import { HeaderField, isConnectionSpecific, Pseudo } from './header-field.ts';
import { HeaderFields } from './header-fields.ts';

/** One response head of a backend and its meaning, strictly by RFC 9113 section 8. */
export class Http2ResponseHead extends HeaderFields implements ResponseView {
  readonly version = '2';
  readonly source = null;
  /** Credentials of a connection would count for all its streams: HTTP/2 has none. */
  readonly authenticatesConnection = false;
  status = 0;
  bodyLength = 0;
  hasDate = false;
  hasRetryAfter = false;
  /** Why the head was refused, in a few words for logs; empty if it was not. */
  refusal = '';
  private contentLength = -1;

  /**
   * @param endsStream whether the response has no body. @param toHead whether it is to a HEAD request: a length is that of
   * the response to GET.
   */
  constructor(fields: readonly HeaderField[], endsStream: boolean, toHead: boolean) {
    super();
    for (const field of fields) {
      if (!(field.number < 0 ? this.readStatus(field) : this.readField(field))) return;
    }
    const { status } = this;
    if (status === 0) this.refusal = 'no status';
    // RFC 9113 section 8.6.
    else if (status === 101) this.refusal = 'status 101';
    else if (status < 200 && endsStream) this.refusal = 'informational response without another';
    if (status < 200 || status === 204 || status === 304 || toHead) return;
    if (endsStream && this.contentLength > 0) this.refusal = 'content length without a body';
    this.bodyLength = endsStream ? 0 : this.contentLength;
  }

  get isInformational(): boolean {
    return this.status < 200;
  }

  /** Becomes the response to a handshake in HTTP/1.1 (RFC 8441 section 5). @param accept see `acceptOf`. */
  beSwitch(accept: string): void {
    this.status = 101;
    this.bodyLength = 0;
    const own = this.fields.findIndex(({ name }) => name === 'sec-websocket-accept');
    if (own >= 0) this.fields.splice(own, 1);
    this.fields.push(new HeaderField('sec-websocket-accept', accept, Field.OTHER));
  }

  private readStatus({ number, value }: HeaderField): boolean {
    if (number !== Pseudo.STATUS || this.status !== 0 || this.fields.length > 0 || !/^[1-9][0-9]{2}$/.test(value)) {
      this.refusal = 'status';
      return false;
    }
    this.status = Number(value);
    return true;
  }

  private readField(field: HeaderField): boolean {
    const { number, problem, value } = field;
    this.refusal = isConnectionSpecific(field) ? 'connection-specific field' : problem;
    switch (number) {
      case Field.OTHER:
        break;
      case Field.CONTENT_LENGTH: {
        const length = parseContentLength(value);
        if (length < 0 || this.contentLength >= 0) this.refusal = 'content length';
        this.contentLength = length;
        break;
      }
      case Field.FRAMING_ALIAS:
        return true;
      case Field.DATE:
        this.hasDate = true;
        break;
      case Field.RETRY_AFTER:
        this.hasRetryAfter = true;
        break;
    }
    this.fields.push(field);
    return this.refusal === '';
  }
}
