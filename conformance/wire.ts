/** HTTP/1.1 as a strict recipient reads it (RFC 9112), apart from src/: what both ends of the proxies go by. */

type Fields = readonly (readonly [name: string, value: string])[];

export interface WireMessage {
  readonly kind: 'message';
  readonly startLine: string;
  /** In order; names as written, values without the blanks around them. */
  readonly fields: Fields;
  readonly body: string;
  readonly trailers: Fields;
  /** Length of the whole in characters. */
  readonly length: number;
}

/** What has come of a message. `head` is its complete head, if there is one. */
export interface WirePart {
  readonly kind: 'more';
  readonly head: WireHead | null;
}

interface WireFault {
  readonly kind: 'bad';
  readonly why: string;
}

interface WireHead {
  readonly startLine: string;
  readonly fields: Fields;
  readonly length: number;
}

export type Wire = WireMessage | WirePart | WireFault;

export interface ResponseContext {
  /** Whether it responds to HEAD. */
  readonly toHead: boolean;
  /** Whether the connection has ended in an orderly way. */
  readonly ended: boolean;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const requestLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\xff]+ HTTP\/1\.[01]$/;
const statusLine = /^HTTP\/1\.[01] \d{3} [\t\x20-\x7e\x80-\xff]*$/;
// Control characters are invalid, but may be kept (RFC 9110 section 5.5).
const text = /^[^\0\r\n]*$/;
const sizeLine = /^([0-9A-Fa-f]+)(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/;
/** Above it a recipient may overflow. */
const chunkBytesMax = 2 ** 40;

/** Reads the first request of `bytes`. */
export function readRequest(bytes: string): Wire {
  const head = readHead(bytes, requestLine);
  if (head.kind !== 'head') return head;
  const hosts = valuesOf(head.fields, 'host').length;
  const isHttp11 = head.startLine.endsWith('1');
  if (hosts > 1) return bad('two Host fields');
  if (hosts === 0 && isHttp11) return bad('no Host field');
  const framing = framingOf(head.fields, isHttp11);
  if (typeof framing === 'object') return framing;
  return readBody(bytes, head, framing === 'none' ? 0 : framing);
}

/** Reads the first response of `bytes`, which may be an informational one. */
export function readResponse(bytes: string, { toHead, ended }: ResponseContext): Wire {
  const head = readHead(bytes, statusLine);
  if (head.kind !== 'head') return head;
  const status = statusOf(head.startLine);
  const framing = framingOf(head.fields, !head.startLine.startsWith('HTTP/1.0'));
  if (typeof framing === 'object') return framing;
  if (status < 200 || status === 204) {
    if (framing !== 'none') return bad(`a ${status} with a length or a coding`);
    return readBody(bytes, head, 0);
  }
  if (toHead || status === 304) return readBody(bytes, head, 0);
  if (framing !== 'none') return readBody(bytes, head, framing);
  if (!ended) return { kind: 'more', head };
  return readBody(bytes, head, bytes.length - head.length);
}

export function statusOf(line: string): number {
  return Number(line.slice(9, 12));
}

/** The values of a field; its name is in lower case. */
export function valuesOf(fields: Fields, name: string): readonly string[] {
  return fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
}

/** The members of a field that is a list, in lower case. */
export function listOf(fields: Fields, name: string): readonly string[] {
  return valuesOf(fields, name).flatMap((value) => value.split(',').map((one) => one.trim().toLowerCase()));
}

function bad(why: string): WireFault {
  return { kind: 'bad', why };
}

function readHead(bytes: string, startLine: RegExp): (WireHead & { readonly kind: 'head' }) | WirePart | WireFault {
  const lf = bytes.search(/(?:^|[^\r])\n|\r[^\n]/);
  const end = bytes.indexOf('\r\n\r\n');
  if (lf >= 0 && (end < 0 || lf < end)) return bad('a line without CR LF in the head');
  if (end < 0) return { kind: 'more', head: null };
  const [first = '', ...lines] = bytes.slice(0, end).split('\r\n');
  if (!startLine.test(first)) return bad(`the start line ${quoted(first)}`);
  const fields = readFields(lines);
  return 'kind' in fields ? fields : { kind: 'head', startLine: first, fields, length: end + 4 };
}

function readFields(lines: readonly string[]): Fields | WireFault {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '');
    if (colon < 0 || !token.test(line.slice(0, colon)) || !text.test(value)) {
      return bad(`the field line ${quoted(line)}`);
    }
    fields.push([line.slice(0, colon), value]);
  }
  return fields;
}

function framingOf(fields: Fields, isHttp11: boolean): number | 'chunked' | 'none' | WireFault {
  const lengths = valuesOf(fields, 'content-length');
  const isCoded = valuesOf(fields, 'transfer-encoding').length > 0;
  // Empty members count for nothing (RFC 9110 section 5.6.1.2).
  const codings = listOf(fields, 'transfer-encoding').filter((coding) => coding !== '');
  if (lengths.length > 0 && isCoded) return bad('a length and a coding');
  if (isCoded) {
    if (!isHttp11) return bad('a coding in HTTP/1.0');
    if (codings.at(-1) === 'chunked' && codings.indexOf('chunked') === codings.length - 1) return 'chunked';
    return bad(`the coding ${quoted(codings.join(', '))}`);
  }
  if (lengths.length > 1) return bad('two lengths');
  const [length] = lengths;
  if (length === undefined) return 'none';
  return /^0*\d{1,18}$/.test(length) ? Number(length) : bad(`the length ${quoted(length)}`);
}

function readBody(bytes: string, head: WireHead, framing: number | 'chunked'): Wire {
  const { startLine, fields, length } = head;
  if (framing === 'chunked') return readChunks(bytes, head);
  if (bytes.length < length + framing) return { kind: 'more', head };
  const body = bytes.slice(length, length + framing);
  return { kind: 'message', startLine, fields, body, trailers: [], length: length + framing };
}

function readChunks(bytes: string, head: WireHead): Wire {
  const { startLine, fields } = head;
  let body = '';
  for (let at = head.length; ; ) {
    const line = lineAt(bytes, at);
    if (line === null) return { kind: 'more', head };
    const [, digits] = sizeLine.exec(line) ?? [];
    if (digits === undefined) return bad(`the chunk size ${quoted(line)}`);
    const size = Number.parseInt(digits, 16);
    if (size > chunkBytesMax) return bad('a chunk size beyond all bounds');
    at += line.length + 2;
    if (size === 0) {
      const end = `\r\n${bytes.slice(at)}`.indexOf('\r\n\r\n');
      if (end < 0) return { kind: 'more', head };
      const trailers = end === 0 ? [] : readFields(bytes.slice(at, at + end - 2).split('\r\n'));
      if ('kind' in trailers) return trailers;
      return { kind: 'message', startLine, fields, body, trailers, length: at + end + 2 };
    }
    const end = bytes.slice(at + size, at + size + 2);
    if (!'\r\n'.startsWith(end)) return bad('no CR LF behind a chunk');
    if (end.length < 2) return { kind: 'more', head };
    body += bytes.slice(at, at + size);
    at += size + 2;
  }
}

/** The line that begins there; null if its end has not come. */
function lineAt(bytes: string, at: number): string | null {
  const rest = bytes.slice(at);
  const end = rest.indexOf('\r\n');
  if (end >= 0) return rest.slice(0, end);
  return rest.includes('\n') ? rest : null;
}

/** The begin of some bytes, in ASCII. */
function quoted(bytes: string): string {
  const escaped = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return `"${bytes.slice(0, 40).replace(/[^\x20-\x7e]/g, escaped)}"`;
}
