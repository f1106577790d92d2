import { Field } from '../http/field-names.ts';
import { Head } from './head.ts';

/**
 * Fields that must not come from a trailer: those for framing, routing, authentication, conditions, and how to process
 * the content (RFC 9110 section 6.5.1). Framing fields and those that identify the client are recognised by number.
 */
const forbidden = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
]);

/** The trailer section of a chunked body: fields without a start line. */
export class TrailerSection extends Head {
  /** The lines of the fields that may be forwarded; empty if there are none. */
  get forwardable(): string {
    let lines = '';
    for (let field = 0; field < this.fieldCount; field++) {
      if (this.fieldNumber(field) !== Field.OTHER) continue;
      if (forbidden.has(this.fieldName(field).toLowerCase())) continue;
      lines += this.text.slice(this.lineOffset(field), this.lineEndOffset(field));
    }
    return lines;
  }

  protected override readStartLine(): boolean {
    // There is no start line. `lineEndOffset` and the like count from here.
    this.startLineEnd = -2;
    return true;
  }

  protected override interpret(): boolean {
    return true;
  }
}
