import { type FieldEdits, isNamed } from './field-lines.ts';
import { Field, identityFields, isHopByHop } from './field-names.ts';
import { isNominated, type RequestView } from './message.ts';

/** Whether a field of a request other than Host goes on to the backend: no hop-by-hop field does (RFC 9110 section 7.6.1). */
export function isForwarded(request: RequestView, field: number, { dropped, names }: FieldEdits): boolean {
  const number = request.fieldNumber(field);
  if (isHopByHop(number) || number === Field.ALIAS || ((dropped >>> number) & 1) !== 0) return false;
  // HTTP/1.0 does not know Expect (RFC 9110 section 10.1.1).
  if (number === Field.EXPECT) return request.version !== '1.0' && request.fieldValue(field) !== '';
  if (names !== null && isNamed(request.fieldName(field), names)) return false;
  if (request.nominated === null) return true;
  // Of the body's framing, no `Connection` field can take anything away.
  if (number === Field.CONTENT_LENGTH || number === Field.TRANSFER_ENCODING) return true;
  // A client must not be able to remove what a trusted peer says about it (CVE-2024-45410), or the passes of a loop.
  if (number === Field.CDN_LOOP || ((identityFields >>> number) & 1) !== 0) return true;
  return !isNominated(request, field);
}
