import { SP } from '../http/bytes.ts';
import { httpDate } from '../http/date.ts';
import { type FieldEdits, isNamed } from '../http/field-lines.ts';
import { Field, isHopByHop } from '../http/field-names.ts';
import { hasField, isNominated, type ResponseView } from '../http/message.ts';
import { Framing } from './head.ts';
import { ResponseHead } from './response-head.ts';

/** Offsets in `HTTP/1.1 200`. */
const versionEnd = 8;
const statusEnd = 12;
const UPGRADE_REQUIRED = 426;

/** How a response goes to the client. */
export interface ResponseShape {
  /** HTTP/1 minor version of the client. */
  readonly versionMinor: number;
  /** Whether it is to a HEAD request. */
  readonly isHead: boolean;
  /** Framing towards the client: CHUNKED if the length is unknown and the client speaks HTTP/1.1. */
  readonly framing: Framing;
  readonly keepAlive: boolean;
  /** Fields that are dropped, and further ones, such as the debug fields; null for none. */
  readonly edits: FieldEdits | null;
  /** The present time, for a response without a Date. */
  readonly epochMs: number;
}

/** The framing of a response to an HTTP/1 client: that of the backend, unless the client's version lacks it. */
export function clientFraming(response: ResponseView, versionMinor: number): Framing {
  if (response.bodyLength < 0) return versionMinor === 1 ? Framing.CHUNKED : Framing.CLOSE;
  return response.bodyLength > 0 ? Framing.LENGTH : Framing.NONE;
}

/** The head of a response to an HTTP/1 client. */
export function responseHeadText(response: ResponseView, shape: ResponseShape): string {
  return response instanceof ResponseHead ? forwardResponseHead(response, shape) : writeResponseHead(response, shape);
}

/** From HTTP/1: copies runs of unchanged lines as the backend wrote them, without hop-by-hop fields. */
function forwardResponseHead(response: ResponseHead, shape: ResponseShape): string {
  const { text, fieldCount } = response;
  let out: string;
  let runStart: number;
  if (response.plainStatusLine && shape.versionMinor === 1) {
    out = '';
    runStart = 0;
  } else {
    // An intermediary sends its own version (RFC 9110 section 2.5), and 1.0 to a client that speaks 1.0.
    const blank = text.charCodeAt(statusEnd) === SP ? '' : ' ';
    out = `HTTP/1.${shape.versionMinor}${text.slice(versionEnd, statusEnd)}${blank}`;
    runStart = statusEnd;
  }
  const isReframed = shape.framing !== response.framing;
  const names = shape.edits?.names ?? null;
  for (let field = 0; field < fieldCount; field++) {
    const number = response.fieldNumber(field);
    if (number === Field.OTHER && response.nominated === null && names === null) continue;
    const isKept = !isDropped(response, field, number, shape, isReframed);
    if (isKept && (names === null || !isNamed(response.fieldName(field), names))) continue;
    const lineStart = response.lineOffset(field);
    if (lineStart > runStart) out += text.slice(runStart, lineStart);
    runStart = response.lineEndOffset(field);
  }
  const hasMore =
    shape.edits !== null ||
    !shape.keepAlive ||
    shape.versionMinor === 0 ||
    (isReframed && shape.framing === Framing.CHUNKED) ||
    response.status === UPGRADE_REQUIRED ||
    response.isLengthPadded ||
    isUndated(response);
  if (!hasMore) return out + text.slice(runStart);
  out += text.slice(runStart, text.length - 2);
  if (shape.edits !== null) out += shape.edits.text;
  if (isReframed && shape.framing === Framing.CHUNKED) out += 'Transfer-Encoding: chunked\r\n';
  if (response.isLengthPadded && !hasNoLength(response)) out += `Content-Length: ${response.contentLength}\r\n`;
  return `${out}${closingLines(response, shape)}\r\n`;
}

/** Whether a response of this status has no length: RFC 9110 section 8.6. */
function hasNoLength({ status }: ResponseView): boolean {
  return status < 200 || status === 204;
}

/** The lines that depend on the connection, and on what the backend has left out. */
function closingLines(response: ResponseView, shape: ResponseShape): string {
  const date = isUndated(response) ? `Date: ${httpDate(shape.epochMs)}\r\n` : '';
  // RFC 9110 sections 7.8 and 15.5.22: the protocols of the Upgrade field, which passes, apply to this connection.
  if (response.status === UPGRADE_REQUIRED)
    return `${date}Connection: ${shape.keepAlive ? 'upgrade' : 'upgrade, close'}\r\n`;
  if (!shape.keepAlive) return `${date}Connection: close\r\n`;
  return shape.versionMinor === 0 ? `${date}Connection: keep-alive\r\n` : date;
}

/** Whether the proxy has to add the time of a response (RFC 9110 section 6.6.1). */
function isUndated(response: ResponseView): boolean {
  return !response.hasDate && response.status >= 200;
}

/** From any other protocol: its responses have no reason phrase, and a length as the only framing field. */
function writeResponseHead(response: ResponseView, shape: ResponseShape): string {
  const names = shape.edits?.names ?? null;
  let out = `HTTP/1.${shape.versionMinor} ${response.status} \r\n`;
  for (let field = 0; field < response.fieldCount; field++) {
    const number = response.fieldNumber(field);
    if (number === Field.FRAMING_ALIAS || number === Field.TRANSFER_ENCODING) continue;
    if (number === Field.CONTENT_LENGTH && hasNoLength(response)) continue;
    const isKept = number === Field.UPGRADE && response.status === UPGRADE_REQUIRED;
    if (!isKept && (isHopByHop(number) || isNominated(response, field))) continue;
    if (names !== null && isNamed(response.fieldName(field), names)) continue;
    const value = response.fieldValue(field);
    // Without leading zeros, which a client may take for octal.
    out += `${response.fieldName(field)}: ${number === Field.CONTENT_LENGTH ? Number(value) : value}\r\n`;
  }
  if (shape.edits !== null) out += shape.edits.text;
  if (shape.framing === Framing.CHUNKED) out += 'Transfer-Encoding: chunked\r\n';
  else if (lacksLength(response, shape)) out += 'Content-Length: 0\r\n';
  return `${out}${closingLines(response, shape)}\r\n`;
}

/** Whether a client would take the end of the connection for that of a body that is empty. */
function lacksLength(response: ResponseView, { framing, isHead }: ResponseShape): boolean {
  if (framing !== Framing.NONE || isHead || hasNoLength(response) || response.status === 304) return false;
  return !hasField(response, Field.CONTENT_LENGTH);
}

/** The 101 for the client: both have agreed on the protocol. */
export function switchHeadText(response: ResponseView, protocol: string, edits: FieldEdits | null): string {
  const shape = { versionMinor: 1, isHead: false, framing: Framing.NONE, keepAlive: true, edits, epochMs: 0 };
  return `${responseHeadText(response, shape).slice(0, -2)}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
}

function isDropped(
  response: ResponseHead,
  field: number,
  number: number,
  shape: ResponseShape,
  isReframed: boolean,
): boolean {
  if (number === Field.UPGRADE) return response.status !== UPGRADE_REQUIRED;
  if (isHopByHop(number) || number === Field.FRAMING_ALIAS) return true;
  if (number === Field.TRANSFER_ENCODING) return isReframed || response.framing === Framing.NONE;
  if (number === Field.CONTENT_LENGTH) return response.isLengthPadded || hasNoLength(response);
  if (number === Field.TRAILER) return shape.framing !== Framing.CHUNKED;
  return isNominated(response, field);
}
