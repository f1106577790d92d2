/**
 * A second, small and slow HTTP/1.1 parser for tests to compare with. It uses regular expressions over the whole text
 * and shares no code with the codec. It is strict in the same places (RFC 9112), but has no limits.
 */

export interface ReferenceMessage {
  readonly kind: 'message';
  readonly startLine: string;
  /** In order; names as written, values without the blanks around them. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly chunked: boolean;
  readonly trailers: readonly (readonly [string, string])[];
  /** Length of the head in characters, including an empty line before it. */
  readonly headLength: number;
  /** Length of the whole message in characters. */
  readonly length: number;
}

export type Reference = ReferenceMessage | { readonly kind: 'more' } | { readonly kind: 'bad' };

const more: Reference = { kind: 'more' };
const bad: Reference = { kind: 'bad' };

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const fieldLine = new RegExp(`^(${token}):[\\t ]*([\\t\\x20-\\x7e\\x80-\\xff]*)$`);
const requestLine = new RegExp(`^(${token}) ([\\x21\\x22\\x24-\\x7e\\x80-\\xff]+) HTTP/1\\.([0-9])$`);
const statusLine = /^HTTP\/1\.[0-9] [1-9][0-9]{2}( [\t\x20-\x7e\x80-\xff]*)?$/;

/** Reads the first request of `text`. */
export function readRequest(text: string): Reference {
  const skipped = text.startsWith('\r\n') ? 2 : 0;
  const head = readHead(text.slice(skipped), requestLine);
  if (head === 'more') return more;
  if (head === 'bad') return bad;
  const [, method = '', target = '', minor] = requestLine.exec(head.startLine) ?? [];
  const hosts = values(head.fields, 'host');
  if (hosts.length > 1 || method === 'CONNECT' || !isTarget(method, target, hosts[0])) return bad;
  if (values(head.fields, 'expect').some((value) => !/^(100-continue|[\t ]|,)*$/i.test(value))) return bad;
  if (head.fields.some(([name]) => /^(content_length|transfer_encoding)$/i.test(name))) return bad;
  return readBody(text.slice(skipped + head.length), { ...head, length: head.length + skipped }, minor !== '0', 'none');
}

/** Reads the first response of `text`; informational ones count. @param ended whether nothing more follows. */
export function readResponse(text: string, toHead: boolean, ended = false): Reference {
  const loose = /\n\r?\n/.exec(text);
  if (loose === null) return text.includes('\r\n\r\n') ? bad : more;
  const length = loose.index + loose[0].length;
  const strict = corrected(text.slice(0, length));
  const corrects = strict === null ? 'bad' : readHead(strict, statusLine);
  if (corrects === 'more') return more;
  if (corrects === 'bad') return bad;
  const head = { ...corrects, length };
  const status = Number(head.startLine.slice(9, 12));
  const response = readBody(text.slice(head.length), head, !head.startLine.startsWith('HTTP/1.0'), 'close', ended);
  if (!toHead && status >= 200 && status !== 204 && status !== 304) return response;
  // These have no body, but their fields must still be valid.
  if (response.kind === 'bad' && framingOf(head.fields, !head.startLine.startsWith('HTTP/1.0')) === null) return bad;
  return { ...bare(head), body: '', chunked: false, trailers: [], length: head.length };
}

/** A head of a response with CR LF, without folds and blanks before colons; null if it has more than one reading. */
function corrected(head: string): string | null {
  // LF alone, and CR LF in a later line; or LF alone behind a field with CR LF that is not of the server.
  const server = '(?:connection|date|server)[\\t ]*:[^\\n]*\\r\\n|[\\t ][^\\n]*\\r\\n';
  const isChanged = new RegExp(
    `^[^\\n]*\\r\\n(?:${server})*(?!${server})[^\\r\\n][^\\n]*\\r\\n(?:[^\\n]*\\n)*?[^\\n]*[^\\r\\n]\\n`,
    'i',
  );
  if (/(^|[^\r])\n[^\n]*\r\n/.test(head) || isChanged.test(head)) return null;
  const [first = '', ...lines] = head.replace(/\r?\n\r?\n$/, '').split(/\r?\n/);
  const fields: string[] = [];
  for (const line of lines) {
    if (!/^[\t ]/.test(line)) {
      fields.push(line.replace(/^([^:\s]+)[\t ]+:/, '$1:'));
      continue;
    }
    const before = fields.pop();
    const isFraming = /^(content-length|transfer-encoding|connection):/i.test(before ?? '');
    if (before === undefined || isFraming || /^[\t ]*$/.test(line)) return null;
    fields.push(`${before} ${line.replace(/^[\t ]+|[\t ]+$/g, '')}`);
  }
  return `${[first, ...fields].join('\r\n')}\r\n\r\n`;
}

/** Reads message after message. @throws if any is invalid, or bytes are left over. */
export function readRequests(text: string): ReferenceMessage[] {
  const messages: ReferenceMessage[] = [];
  for (let rest = text; rest !== ''; ) {
    const message = readRequest(rest);
    if (message.kind !== 'message') throw new Error(`${message.kind} at ${JSON.stringify(rest.slice(0, 300))}`);
    messages.push(message);
    rest = rest.slice(message.length);
  }
  return messages;
}

/** The values of a field, in any case. */
export function values(fields: readonly (readonly [string, string])[], name: string): string[] {
  return fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
}

interface ReferenceHead {
  readonly startLine: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly length: number;
}

function readHead(text: string, startLine: RegExp): ReferenceHead | 'more' | 'bad' {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'more';
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  if (!startLine.test(first)) return 'bad';
  const fields = readFields(lines);
  return fields === null ? 'bad' : { startLine: first, fields, length: end + 4 };
}

function readFields(lines: readonly string[]): [string, string][] | null {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const match = fieldLine.exec(line);
    if (match === null) return null;
    fields.push([match[1] as string, (match[2] as string).replace(/[\t ]+$/, '')]);
  }
  return fields;
}

/** Null if the fields contradict each other. */
function framingOf(fields: ReferenceHead['fields'], isHttp11: boolean): number | 'chunked' | 'none' | null {
  const lengths = values(fields, 'content-length');
  const codings = values(fields, 'transfer-encoding');
  for (const value of values(fields, 'connection')) {
    const options = value.split(',').map((option) => option.replace(/^[\t ]+|[\t ]+$/g, ''));
    if (options.some((option) => /^(content-length|transfer-encoding)$/i.test(option))) return null;
  }
  if (lengths.length + codings.length > 1) return null;
  if (codings.length === 1) return isHttp11 && /^chunked$/i.test(codings[0] as string) ? 'chunked' : null;
  if (lengths.length === 0) return 'none';
  const length = lengths[0] as string;
  return /^[0-9]+$/.test(length) && Number.isSafeInteger(Number(length)) ? Number(length) : null;
}

function readBody(
  text: string,
  head: ReferenceHead,
  isHttp11: boolean,
  without: 'none' | 'close',
  ended = false,
): Reference {
  const framing = framingOf(head.fields, isHttp11);
  if (framing === null) return bad;
  const base = bare(head);
  if (framing === 'chunked') return readChunks(text, base, without === 'close');
  if (framing === 'none') {
    if (without === 'close' && !ended) return more;
    const body = without === 'close' ? text : '';
    return { ...base, body, chunked: false, trailers: [], length: head.length + body.length };
  }
  if (text.length < framing) return more;
  return { ...base, body: text.slice(0, framing), chunked: false, trailers: [], length: head.length + framing };
}

function bare(head: ReferenceHead): Pick<ReferenceMessage, 'kind' | 'startLine' | 'fields' | 'headLength'> {
  return { kind: 'message', startLine: head.startLine, fields: head.fields, headLength: head.length };
}

const sizeLine = /^0*([0-9A-Fa-f]{1,13})([\t ]*;[\t\x20-\x7e\x80-\xff]*)?\r\n/;
const paddedSizeLine = /^0*([0-9A-Fa-f]{1,13})([\t ]*(;[\t\x20-\x7e\x80-\xff]*)?)\r\n/;

function readChunks(text: string, base: ReturnType<typeof bare>, mayBePadded: boolean): Reference {
  let rest = text;
  let body = '';
  for (;;) {
    const match = (mayBePadded ? paddedSizeLine : sizeLine).exec(rest);
    if (match === null) return rest.includes('\n') || /[^\r\t\x20-\x7e\x80-\xff]/.test(rest) ? bad : more;
    const size = Number.parseInt(match[1] as string, 16);
    rest = rest.slice(match[0].length);
    if (size === 0) break;
    const data = rest.slice(0, size);
    const end = rest.slice(size, size + 2);
    if (!'\r\n'.startsWith(end)) return bad;
    if (end.length < 2) return more;
    body += data;
    rest = rest.slice(size + 2);
  }
  // The trailers end with an empty line, which may come at once.
  const end = `\r\n${rest}`.indexOf('\r\n\r\n');
  if (end < 0) return more;
  const trailers = end === 0 ? [] : readFields(rest.slice(0, end - 2).split('\r\n'));
  if (trailers === null) return bad;
  const length = base.headLength + (text.length - rest.length) + end + 2;
  return { ...base, body, chunked: true, trailers, length };
}

function isTarget(method: string, target: string, host: string | undefined): boolean {
  if (target.startsWith('/')) return true;
  if (target === '*') return method === 'OPTIONS';
  const [, scheme = '', authority] = /^(https?):\/\/([^/?@]+)([/?]|$)/i.exec(target) ?? [];
  if (authority === undefined) return false;
  const port = scheme.length === 5 ? /:(443)?$/ : /:(80)?$/;
  return host === undefined || host.toLowerCase().replace(port, '') === authority.toLowerCase().replace(port, '');
}
