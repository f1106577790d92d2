import { FieldLines } from '../http/field-lines.ts';
import { mayBeTrailer } from '../http/trailer-fields.ts';
import type { HeaderField } from './header-field.ts';

/** The trailers that may be forwarded; null if the section is malformed (RFC 9113 section 8.1). */
export function readTrailers(fields: readonly HeaderField[]): FieldLines | null {
  const trailers = new FieldLines();
  for (const { name, number, problem, value } of fields) {
    if (problem !== '' || number < 0) return null;
    if (mayBeTrailer(number, name)) trailers.add(name, value);
  }
  return trailers;
}
