import type { FieldEdits } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import { isForwarded } from '../http/forwarded-fields.ts';
import { hasField, type RequestView } from '../http/message.ts';
import { addField, addLines } from './encode-fields.ts';
import { type HpackEncoder, Indexing } from './hpack-encoder.ts';

/**
 * The header block of a request to a backend (RFC 9113 section 8.3.1). The handshake of a WebSocket becomes an extended CONNECT
 * (RFC 8441 section 4).
 * @param scheme of the connection to the backend.
 */
export function requestBlock(
  encoder: HpackEncoder,
  request: RequestView,
  edits: FieldEdits,
  scheme: 'http' | 'https',
): string {
  const authority = edits.host ?? request.authority;
  const isTunnel = request.protocol !== null;
  encoder.begin();
  encoder.add(':method', isTunnel ? 'CONNECT' : request.method, Indexing.KEEP);
  if (isTunnel) encoder.add(':protocol', 'websocket', Indexing.KEEP);
  encoder.add(':scheme', scheme, Indexing.KEEP);
  if (authority !== null) encoder.add(':authority', authority, Indexing.KEEP);
  encoder.add(':path', edits.path ?? request.path, Indexing.NONE);
  for (let field = 0; field < request.fieldCount; field++) {
    const number = request.fieldNumber(field);
    if (number === Field.HOST || number === Field.TRANSFER_ENCODING || number === Field.CONTENT_LENGTH) continue;
    if (isForwarded(request, field, edits)) addField(encoder, request.fieldName(field), request.fieldValue(field));
  }
  if (request.bodyLength >= 0 && !isTunnel && hasField(request, Field.CONTENT_LENGTH)) {
    encoder.add('content-length', String(request.bodyLength), Indexing.NONE);
  }
  if (request.takesTrailers) encoder.add('te', 'trailers', Indexing.KEEP);
  addLines(encoder, edits);
  return encoder.end();
}
