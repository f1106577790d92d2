import { fieldNumberOf } from './field-names.ts';
import type { RequestView } from './message.ts';

/** A request that nobody has sent. */
export class PlainRequest implements RequestView {
  readonly version = '1.1';
  readonly nominated = null;
  readonly protocol = null;
  readonly offersProtocols = false;
  readonly takesTrailers = false;
  readonly bodyLength = 0;
  readonly authenticatesConnection = false;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  private readonly fields: readonly (readonly [name: string, value: string])[];

  constructor(authority: string, method: string, path: string, fields: PlainRequest['fields']) {
    this.authority = authority;
    this.method = method;
    this.path = path;
    this.fields = fields;
  }

  get target(): string {
    return this.path;
  }

  get fieldCount(): number {
    return this.fields.length;
  }

  fieldName(field: number): string {
    return this.fields[field]?.[0] ?? '';
  }

  fieldValue(field: number): string {
    return this.fields[field]?.[1] ?? '';
  }

  fieldNumber(field: number): number {
    const name = Buffer.from(this.fieldName(field), 'latin1');
    return fieldNumberOf(name, 0, name.length);
  }

  value(number: number): string | null {
    return this.fields.findLast((_field, at) => this.fieldNumber(at) === number)?.[1] ?? null;
  }
}
