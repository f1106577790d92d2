import { Field, identityFields } from '../http/field-names.ts';
import { isHopByHop } from './head.ts';
import type { RequestHead } from './request-head.ts';

/**
 * The head that goes to the backend: what is unchanged is taken over in runs, as the client wrote it; hop-by-hop
 * fields go first (RFC 9110 section 7.6.1), what is ours is added afterwards, so that no client can strip it
 * (CVE-2024-45410, CVE-2025-48865).
 * @param identity fields that say who the client is, as lines.
 * @param replaced the set of fields that `identity` replaces.
 */
export function forwardRequestHead(
  head: RequestHead,
  identity: string,
  replaced: number,
  backendKeepAlive: boolean,
): string {
  const { text, nominated, fieldCount } = head;
  let out: string;
  let runStart: number;
  if (head.plainStartLine) {
    out = '';
    runStart = head.startLineOffset;
  } else {
    out = `${head.method} ${head.path} HTTP/1.1\r\n`;
    runStart = head.firstFieldOffset;
  }
  let hasHost = false;
  for (let field = 0; field < fieldCount; field++) {
    const number = head.fieldNumber(field);
    if (number === Field.OTHER && nominated === null) continue;
    if (number === Field.HOST) {
      hasHost = true;
      continue;
    }
    if (isDropped(head, field, number, replaced)) {
      const lineStart = head.lineOffset(field);
      if (lineStart > runStart) out += text.slice(runStart, lineStart);
      runStart = head.lineEndOffset(field);
    }
  }
  const fieldsEnd = text.length - 2;
  if (fieldsEnd > runStart) out += text.slice(runStart, fieldsEnd);
  if (!hasHost) out += `Host: ${head.authority}\r\n`;
  out += identity;
  if (head.webSocketKey !== null) return `${out}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  if (head.takesTrailers) {
    return `${out}TE: trailers\r\nConnection: ${backendKeepAlive ? 'TE' : 'TE, close'}\r\n\r\n`;
  }
  return backendKeepAlive ? `${out}\r\n` : `${out}Connection: close\r\n\r\n`;
}

function isDropped(head: RequestHead, field: number, number: number, replaced: number): boolean {
  if (isHopByHop(number) || number === Field.ALIAS || ((replaced >>> number) & 1) !== 0) return true;
  // On HTTP/1.0 an Expect means nothing (RFC 9110 section 10.1.1).
  if (number === Field.EXPECT) return !head.expectContinue;
  if (head.nominated === null || number === Field.CONTENT_LENGTH || number === Field.TRANSFER_ENCODING) return false;
  // What a trusted peer says of the client cannot be taken away by the client that it speaks for (CVE-2024-45410).
  if (((identityFields >>> number) & 1) !== 0) return false;
  return head.nominated.includes(head.fieldName(field).toLowerCase());
}
