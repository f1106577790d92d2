import { FieldLines } from '../http/field-lines.ts';
import { mayBeTrailer } from '../http/trailer-fields.ts';
import { type HeaderField, isConnectionSpecific } from './header-field.ts';

/** The trailers that may be forwarded; null if the section is malformed (RFC 9113 sections 8.1 and 8.2.2). */
export function readTrailers(fields: readonly HeaderField[]): FieldLines | null {
  const trailers = new FieldLines();
  for (const field of fields) {
    const { name, number, problem, value } = field;
    if (problem !== '' || number < 0 || isConnectionSpecific(field)) return null;
    if (mayBeTrailer(number, name)) trailers.add(name, value);
  }
  return trailers;
}
