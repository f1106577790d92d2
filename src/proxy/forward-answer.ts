import type { AnswerHead } from '../http1/answer-head.ts';
import { Field } from '../http1/field-names.ts';
import { Framing, isHopByHop } from '../http1/head.ts';

/** How an answer reaches the client. */
export interface AnswerShape {
  /** The HTTP/1 minor version that the client speaks. */
  readonly versionMinor: number;
  /** Framing towards the client: CHUNKED where the length is not known and the client is of 1.1. */
  readonly framing: Framing;
  readonly keepAlive: boolean;
  /** Further lines, as the debug fields; often empty. */
  readonly extraLines: string;
}

/** The framing of an answer towards a client: the backend's, but for what the client's version cannot have. */
export function clientFraming(answer: AnswerHead, versionMinor: number): Framing {
  if (answer.framing === Framing.CHUNKED || answer.framing === Framing.CLOSE) {
    return versionMinor === 1 ? Framing.CHUNKED : Framing.CLOSE;
  }
  return answer.framing;
}

/** The head that goes to the client: unchanged runs as the backend wrote them, hop-by-hop fields taken out. */
export function forwardAnswerHead(answer: AnswerHead, shape: AnswerShape): string {
  const { text, fieldCount } = answer;
  let out: string;
  let runStart: number;
  if (answer.versionMinor === 1 && shape.versionMinor === 1) {
    out = '';
    runStart = 0;
  } else {
    // The version is ours (RFC 9110 section 2.5), and 1.0 to who speaks 1.0.
    out = shape.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
    runStart = 8;
  }
  const isReframed = shape.framing !== answer.framing;
  for (let field = 0; field < fieldCount; field++) {
    const number = answer.fieldNumber(field);
    if (number === Field.OTHER && answer.nominated === null) continue;
    if (!isDropped(answer, field, number, shape, isReframed)) continue;
    const lineStart = answer.lineOffset(field);
    if (lineStart > runStart) out += text.slice(runStart, lineStart);
    runStart = answer.lineEndOffset(field);
  }
  const hasMore =
    shape.extraLines !== '' ||
    !shape.keepAlive ||
    shape.versionMinor === 0 ||
    (isReframed && shape.framing === Framing.CHUNKED);
  if (!hasMore) return out + text.slice(runStart);
  out += text.slice(runStart, text.length - 2) + shape.extraLines;
  if (isReframed && shape.framing === Framing.CHUNKED) out += 'Transfer-Encoding: chunked\r\n';
  if (!shape.keepAlive) out += 'Connection: close\r\n';
  else if (shape.versionMinor === 0) out += 'Connection: keep-alive\r\n';
  return `${out}\r\n`;
}

/** The 101 that goes to the client: its handshake was checked, and the protocol that it names is WebSocket. */
export function forwardSwitchHead(answer: AnswerHead, extraLines: string): string {
  const shape = { versionMinor: 1, framing: Framing.NONE, keepAlive: true, extraLines };
  return `${forwardAnswerHead(answer, shape).slice(0, -2)}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
}

function isDropped(
  answer: AnswerHead,
  field: number,
  number: number,
  shape: AnswerShape,
  isReframed: boolean,
): boolean {
  if (isHopByHop(number) || number === Field.FRAMING_ALIAS) return true;
  if (number === Field.TRANSFER_ENCODING) return isReframed || answer.framing === Framing.NONE;
  // RFC 9110 section 8.6: no Content-Length in a 1xx or 204.
  if (number === Field.CONTENT_LENGTH) return answer.status < 200 || answer.status === 204;
  if (number === Field.TRAILER) return shape.framing !== Framing.CHUNKED;
  return answer.nominated?.includes(answer.fieldName(field).toLowerCase()) === true;
}
