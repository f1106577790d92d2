import type { FieldEdits } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import { isForwarded } from '../http/forwarded-fields.ts';
import { hasField, type RequestView } from '../http/message.ts';
import { RequestHead } from './request-head.ts';

/**
 * The head of a request to an HTTP/1.1 backend.
 * @param backendKeepAlive whether to ask the backend to keep the connection.
 */
export function requestHeadText(request: RequestView, edits: FieldEdits, backendKeepAlive: boolean): string {
  return request instanceof RequestHead
    ? forwardRequestHead(request, edits, backendKeepAlive)
    : writeRequestHead(request, edits, backendKeepAlive);
}

/**
 * From HTTP/1: copies runs of unchanged lines as the client wrote them. Hop-by-hop fields are removed first (RFC 9110
 * section 7.6.1) and the proxy's own fields added after that, so that no client can strip those (CVE-2024-45410,
 * CVE-2025-48865).
 */
function forwardRequestHead(head: RequestHead, edits: FieldEdits, backendKeepAlive: boolean): string {
  const { text, nominated, fieldCount } = head;
  const { names } = edits;
  const host = edits.host ?? head.authority;
  let out: string;
  let runStart: number;
  if (head.plainStartLine && edits.path === null) {
    out = '';
    runStart = head.startLineOffset;
  } else {
    out = `${head.method} ${edits.path ?? head.path} HTTP/1.1\r\n`;
    runStart = head.firstFieldOffset;
  }
  let hasHost = false;
  for (let field = 0; field < fieldCount; field++) {
    const number = head.fieldNumber(field);
    if (number === Field.OTHER && nominated === null && names === null) continue;
    if (number === Field.HOST && head.authority !== null && edits.host === null) {
      hasHost = true;
      continue;
    }
    if (isDropped(head, field, number, edits)) {
      const lineStart = head.lineOffset(field);
      if (lineStart > runStart) out += text.slice(runStart, lineStart);
      runStart = head.lineEndOffset(field);
    }
  }
  const fieldsEnd = text.length - 2;
  if (fieldsEnd > runStart) out += text.slice(runStart, fieldsEnd);
  if (!hasHost && host !== null) out += `Host: ${host}\r\n`;
  out += edits.text;
  if (head.isLengthPadded) out += `Content-Length: ${head.contentLength}\r\n`;
  if (head.protocol !== null) return `${out}Connection: Upgrade\r\nUpgrade: ${head.protocol}\r\n\r\n`;
  return out + connectionLines(head, backendKeepAlive);
}

function isDropped(head: RequestHead, field: number, number: number, edits: FieldEdits): boolean {
  // One that names no host: `edits` have another.
  if (number === Field.HOST || (number === Field.CONTENT_LENGTH && head.isLengthPadded)) return true;
  return !isForwarded(head, field, edits);
}

/** Methods whose requests usually have a body. */
const expectsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** From any other protocol. */
function writeRequestHead(request: RequestView, edits: FieldEdits, backendKeepAlive: boolean): string {
  const host = edits.host ?? request.authority;
  let out = `${request.method} ${edits.path ?? request.path} HTTP/1.1\r\n`;
  if (host !== null) out += `Host: ${host}\r\n`;
  for (let field = 0; field < request.fieldCount; field++) {
    const number = request.fieldNumber(field);
    if (number === Field.HOST || number === Field.TRANSFER_ENCODING || !isForwarded(request, field, edits)) continue;
    out += `${request.fieldName(field)}: ${request.fieldValue(field)}\r\n`;
  }
  if (request.bodyLength < 0) out += 'Transfer-Encoding: chunked\r\n';
  // RFC 9110 section 8.6: some servers reply with 411 otherwise.
  else if (expectsBody.has(request.method) && !hasField(request, Field.CONTENT_LENGTH)) out += 'Content-Length: 0\r\n';
  out += edits.text;
  if (request.protocol !== null) return `${out}Connection: Upgrade\r\nUpgrade: ${request.protocol}\r\n\r\n`;
  return out + connectionLines(request, backendKeepAlive);
}

/** The end of a head: the lines that depend on the connection. */
function connectionLines({ takesTrailers }: RequestView, backendKeepAlive: boolean): string {
  if (takesTrailers) return `TE: trailers\r\nConnection: ${backendKeepAlive ? 'TE' : 'TE, close'}\r\n\r\n`;
  return backendKeepAlive ? '\r\n' : 'Connection: close\r\n\r\n';
}
