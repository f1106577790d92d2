import fc from 'fast-check';

/** Valid messages and ways to break them, for the property tests. All texts are latin1. */

const tokenCharacters = "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const token = fc.string({ unit: fc.constantFrom(...tokenCharacters), minLength: 1, maxLength: 12 });
const visible = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f);
const valueUnit = fc.oneof({ weight: 6, arbitrary: visible }, { weight: 1, arbitrary: fc.constantFrom(9, 32) });
const value = fc
  .array(valueUnit, { maxLength: 20 })
  .map((codes) => String.fromCharCode(...codes).replace(/^[\t ]+|[\t ]+$/g, ''));
const blank = fc.constantFrom('', ' ', '\t', '  ', ' \t');

/** A field without a meaning for the codec. */
const plainField = fc
  .tuple(token, blank, value, blank)
  .map(([name, before, text, behind]) => `X${name}:${before}${text}${behind}`);
const knownField = fc.constantFrom(
  'Accept: */*',
  'User-Agent: test',
  'Referer: http://x/',
  'Connection: keep-alive',
  'connection: close',
  'Connection: X-A, X-B',
  'TE: trailers',
  'X-Forwarded-For: 1.2.3.4',
  'x_real_ip: 1.2.3.4',
  'Keep-Alive: timeout=5',
  'Trailer: X-T',
  'Retry-After: 5',
  'Cookie: a=b; c=d',
  'Empty:',
);
const fields = fc.array(fc.oneof(plainField, knownField), { maxLength: 6 });
const bodyBytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 80 })
  .map((codes) => String.fromCharCode(...codes));

/** A body in chunks, with extensions and trailers. */
export const chunkedBody = fc
  .record({
    parts: fc.array(
      fc.tuple(
        bodyBytes,
        fc.constantFrom('', ';', ';a', ';a=b', ';a="b;c"', '; \t\xff'),
        fc.boolean(),
        fc.nat({ max: 3 }),
      ),
      { maxLength: 5 },
    ),
    trailers: fc.array(plainField, { maxLength: 3 }),
    last: fc.constantFrom('0', '000', '0;x'),
  })
  .map(({ parts, trailers, last }) => {
    let text = '';
    for (const [data, extension, upper, zeros] of parts) {
      if (data === '') continue;
      const size = '0'.repeat(zeros) + data.length.toString(16);
      text += `${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
    }
    return {
      text: `${text}${last}\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`,
      data: parts.map(([data]) => data).join(''),
    };
  });

const target = fc.oneof(
  fc.constantFrom('/', '/a?b=c', '/%00', '/\xe4', '//', '/a:b@c'),
  fc
    .array(
      visible.filter((code) => code !== 0x23),
      { maxLength: 20 },
    )
    .map((codes) => `/${String.fromCharCode(...codes)}`),
);

const framed = fc.oneof(
  fc.constant({ lines: [] as string[], text: '' }),
  bodyBytes.map((text) => ({ lines: [`Content-Length: ${text.length}`], text })),
  chunkedBody.map(({ text }) => ({ lines: ['Transfer-Encoding: chunked'], text })),
);

/** A valid HTTP/1.1 request. */
export const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'x-y'),
    target,
    fields,
    framed,
    at: fc.nat(),
  })
  .map(({ method, target: asked, fields: lines, framed: { lines: framing, text }, at }) => {
    const all = ['Host: a.test', ...lines];
    all.splice(at % (all.length + 1), 0, ...framing);
    return `${method} ${asked} HTTP/1.1\r\n${all.map((line) => `${line}\r\n`).join('')}\r\n${text}`;
  });

/** A valid HTTP/1.1 response with an explicit end, possibly after informational ones. */
export const response = fc
  .record({
    status: fc.constantFrom('200 OK', '204', '304 Not Modified', '100 ', '103 Early Hints', '404 \xe4\t', '599 x'),
    fields,
    framed: framed.filter(({ lines }) => lines.length > 0),
    at: fc.nat(),
  })
  .map(({ status, fields: lines, framed: { lines: framing, text }, at }) => {
    const all = [...lines];
    all.splice(at % (all.length + 1), 0, ...framing);
    return `HTTP/1.1 ${status}\r\n${all.map((line) => `${line}\r\n`).join('')}\r\n${text}`;
  });

const bytesThatMatter = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\r\n',
  '\r\n\r\n',
  '0',
  '5',
  'a',
  '\x7f',
  '\xff',
  '_',
  '#',
];
const linesThatMatter = [
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b.test\r\n',
  'Connection: content-length\r\n',
  'Content_Length: 1\r\n',
  'Expect: 100-continue\r\n',
  'Expect: x\r\n',
  ' folded\r\n',
  'Content-Length : 3\r\n',
  'Content-Length: 3, 3\r\n',
  'Content-Length: +3\r\n',
  'Content-Length: 0x3\r\n',
  'Transfer-Encoding: chunked, chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding:\x0bchunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding\r\n : chunked\r\n',
  'Connection: transfer-encoding\r\n',
  'Upgrade: h2c\r\n',
  '\r\n',
];

/** Ways to change a text here and there. */
export const mutation = fc.array(
  fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('insert', 'replace', 'delete', 'repeat', 'line'),
    piece: fc.constantFrom(...bytesThatMatter),
    line: fc.constantFrom(...linesThatMatter),
    length: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 1, maxLength: 4 },
);

export type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

export function mutate(text: string, changes: readonly Mutation[number][]): string {
  let changed = text;
  for (const { at, kind, piece, line, length } of changes) {
    const from = at % (changed.length + 1);
    const before = changed.slice(0, from);
    const rest = changed.slice(from);
    if (kind === 'insert') changed = before + piece + rest;
    else if (kind === 'replace') changed = before + piece + rest.slice(1);
    else if (kind === 'delete') changed = before + rest.slice(length);
    else if (kind === 'repeat') changed = before + rest.slice(0, length) + rest;
    else changed = before.slice(0, before.lastIndexOf('\n') + 1) + line + changed.slice(before.lastIndexOf('\n') + 1);
  }
  return changed;
}

/** Splits a text into pieces, as the network may. Positions are taken modulo its length. */
export const cuts = fc.array(fc.nat(), { maxLength: 8 });

export function cut(text: string, positions: readonly number[]): string[] {
  const at = [...new Set(positions.map((position) => position % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length));
}
