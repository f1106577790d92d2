import type { FieldView } from '../http/message.ts';
import type { HeaderField } from './header-field.ts';

/** The fields of a message of HTTP/2 that its reader has let in, in order. */
export class HeaderFields implements FieldView {
  /** RFC 9113 section 8.2.2: HTTP/2 has no such fields. */
  readonly nominated = null;
  protected readonly fields: HeaderField[] = [];

  get fieldCount(): number {
    return this.fields.length;
  }

  fieldNumber(field: number): number {
    return (this.fields[field] as HeaderField).number;
  }

  fieldName(field: number): string {
    return (this.fields[field] as HeaderField).name;
  }

  fieldValue(field: number): string {
    return (this.fields[field] as HeaderField).value;
  }
}
