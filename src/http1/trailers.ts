import { mayBeTrailer } from '../http/trailer-fields.ts';
import { Head } from './head.ts';

/** The trailer section of a chunked body: fields without a start line. */
export class TrailerSection extends Head {
  /** The lines of the fields that may be forwarded; empty if there are none. */
  get forwardable(): string {
    let lines = '';
    for (let field = 0; field < this.fieldCount; field++) {
      if (!mayBeTrailer(this.fieldNumber(field), this.fieldName(field))) continue;
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
