import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { get, Rig, request, response } from '../helpers/rig.ts';

/** What an attacker wants a backend, or the proxy, to take for a separate request. */
const smuggled = get('/smuggled');

/** Head lines after the Host, or whole requests if they begin with a start line. The cases are independent. */
type Cases = Readonly<Record<string, string>>;

const post = (...lines: readonly string[]): string => request('POST /refused HTTP/1.1', ...lines);
const chunked = (body: string): string => post('Transfer-Encoding: chunked') + body;

const lengthWithCoding: Cases = {
  'length first': `${post('Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\nX`,
  'coding first': `${post('Transfer-Encoding: chunked', 'Content-Length: 6')}0\r\n\r\nX`,
  'length 0': `${post('Content-Length: 0', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
};

const lengths: Cases = {
  'two different ones': `${post('Content-Length: 5', 'Content-Length: 6')}hello!`,
  'two equal ones': `${post('Content-Length: 5', 'Content-Length: 5')}hello`,
  'a list': `${post('Content-Length: 5, 5')}hello`,
  'a plus sign': `${post('Content-Length: +5')}hello`,
  'minus zero': post('Content-Length: -0'),
  'minus one': post('Content-Length: -1'),
  hexadecimal: `${post('Content-Length: 0x5')}hello`,
  'two numbers': `${post('Content-Length: 5 5')}hello`,
  'a fraction': `${post('Content-Length: 5.0')}hello`,
  'an exponent': `${post('Content-Length: 1e1')}hello`,
  empty: post('Content-Length:'),
  blank: post('Content-Length:  \t'),
  'a word': `${post('Content-Length: five')}hello`,
  '2^53': `${post('Content-Length: 9007199254740992')}hello`,
  '2^63': `${post('Content-Length: 9223372036854775808')}hello`,
  '2^64 + 5': `${post('Content-Length: 18446744073709551621')}hello`,
  'other digits (U+0665)': `${post('Content-Length: \xd9\xa5')}hello`,
};

const codings: Cases = {
  xchunked: `${post('Transfer-Encoding: xchunked')}0\r\n\r\n`,
  'chunked, identity': `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n`,
  'chunked, chunked': `${post('Transfer-Encoding: chunked, chunked')}0\r\n\r\n`,
  ', chunked': `${post('Transfer-Encoding: , chunked')}0\r\n\r\n`,
  'chunked,': `${post('Transfer-Encoding: chunked,')}0\r\n\r\n`,
  'gzip, chunked, gzip': `${post('Transfer-Encoding: gzip, chunked, gzip')}0\r\n\r\n`,
  'gzip, chunked in a list with a gap': `${post('Transfer-Encoding: gzip,, chunked')}0\r\n\r\n`,
  identity: post('Transfer-Encoding: identity'),
  empty: post('Transfer-Encoding:'),
  quoted: `${post('Transfer-Encoding: "chunked"')}0\r\n\r\n`,
  'a leading vertical tab': `${post('Transfer-Encoding: \vchunked')}0\r\n\r\n`,
  'a trailing form feed': `${post('Transfer-Encoding: chunked\f')}0\r\n\r\n`,
  'a no-break space': `${post('Transfer-Encoding: \xa0chunked')}0\r\n\r\n`,
  'a folded line': `${post('Transfer-Encoding:\r\n chunked')}0\r\n\r\n`,
  'a folded second coding': `${post('Transfer-Encoding: chunked\r\n\tidentity')}0\r\n\r\n`,
  'two such fields': `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'two fields, identity second': `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`,
  'a parameter': `${post('Transfer-Encoding: chunked;a=b')}0\r\n\r\n`,
  'on HTTP/1.0 (CVE-2026-2835)': `${request('POST /refused HTTP/1.0', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'on HTTP/1.0, kept alive': `${request('POST /refused HTTP/1.0', 'Connection: keep-alive', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
};

const names: Cases = {
  'a space before the colon (CVE-2021-22959)': `${post('Content-Length : 5')}hello`,
  'a tab before the colon': `${post('Content-Length\t: 5')}hello`,
  'a leading space (CVE-2024-27982)': `${post(' Content-Length: 5')}hello`,
  'a leading space on the first line': `POST /refused HTTP/1.1\r\n Host: a.test\r\n\r\n`,
  Content_Length: `${post('Content_Length: 5')}hello`,
  content_length: `${post('content_length: 5')}hello`,
  Transfer_Encoding: `${post('Transfer_Encoding: chunked')}0\r\n\r\n`,
  'an empty name': post(': 5'),
  'no colon': post('Content-Length'),
  'a space within': post('Content Length: 5'),
  'NUL within': post('Content-Length\0: 5'),
  'NUL before': post('\0Content-Length: 5'),
  DEL: post('Content-Length\x7f: 5'),
  'a byte above 0x7f': post('Content-Length\xe9: 5'),
  brackets: post('X[0]: 5'),
  'a slash': post('X/Y: 5'),
  'a quote': post('"X": 5'),
  'an at sign': post('X@Y: 5'),
};

const chunks: Cases = {
  'an extension ended by LF alone': chunked('5;\nhello\r\n0\r\n\r\n'),
  'a size ended by LF alone': chunked('5\nhello\r\n0\r\n\r\n'),
  'a size ended by CR alone': chunked('5\rhello\r\n0\r\n\r\n'),
  'an extension ended by CR alone': chunked('5;a\rhello\r\n0\r\n\r\n'),
  'NUL in an extension': chunked('5;a=\0\r\nhello\r\n0\r\n\r\n'),
  'DEL in an extension': chunked('5;a=\x7f\r\nhello\r\n0\r\n\r\n'),
  'a size of 0x5': chunked('0x5\r\nhello\r\n0\r\n\r\n'),
  'a size of +5': chunked('+5\r\nhello\r\n0\r\n\r\n'),
  'a size of -5': chunked('-5\r\nhello\r\n0\r\n\r\n'),
  'a size of 5_0': chunked('5_0\r\nhello\r\n0\r\n\r\n'),
  'a size of g': chunked('g\r\nhello\r\n0\r\n\r\n'),
  'an empty size': chunked('\r\nhello\r\n0\r\n\r\n'),
  'no size before an extension': chunked(';a\r\nhello\r\n0\r\n\r\n'),
  'a leading space': chunked(' 5\r\nhello\r\n0\r\n\r\n'),
  'a trailing space': chunked('5 \r\nhello\r\n0\r\n\r\n'),
  'a space within': chunked('5 5\r\nhello\r\n0\r\n\r\n'),
  'endless leading zeros': chunked(`${'0'.repeat(20_000)}5\r\nhello\r\n0\r\n\r\n`),
  'a size above 2^53': chunked('20000000000000\r\nhello\r\n0\r\n\r\n'),
  'a size of 2^64 + 5': chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'),
  'no CRLF after the data': chunked('5\r\nhello0\r\n\r\n'),
  'one byte too many': chunked('5\r\nhello!\r\n0\r\n\r\n'),
  'LF alone after the data': chunked('5\r\nhello\n0\r\n\r\n'),
  'CR alone after the data': chunked('5\r\nhello\r0\r\n\r\n'),
  'endless extensions': chunked(`5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
  'a last chunk ended by LF alone': chunked('0\n\r\n'),
  'a last chunk ended by CR alone': chunked('0\r\r\n'),
  'an end with LF alone': chunked('0\r\n\n'),
  'a trailer ended by LF alone': chunked('0\r\nX: y\n\r\n'),
  'a trailer without a colon': chunked('0\r\nGET /smuggled HTTP/1.1\r\n\r\n'),
  'a folded trailer': chunked('0\r\nX: y\r\n z\r\n\r\n'),
  'a trailer with a space before its colon': chunked('0\r\nX : y\r\n\r\n'),
  'NUL in a trailer': chunked('0\r\nX: \0\r\n\r\n'),
};

const lineEnds: Cases = {
  'LF after the start line': 'GET /refused HTTP/1.1\nHost: a.test\r\n\r\n',
  'CR after the start line': 'GET /refused HTTP/1.1\rHost: a.test\r\n\r\n',
  'LF after the Host': 'GET /refused HTTP/1.1\r\nHost: a.test\n\r\n',
  'CR after the Host': 'GET /refused HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n',
  'LF after a later field': get('/refused', 'X: y\nTransfer-Encoding: chunked'),
  'CR after a later field': get('/refused', 'X: y\rTransfer-Encoding: chunked'),
  'LF at the end of the head': 'GET /refused HTTP/1.1\r\nHost: a.test\r\n\n',
  'CR at the end of the head': 'GET /refused HTTP/1.1\r\nHost: a.test\r\n\rGET / HTTP/1.1',
  'LF everywhere': 'GET /refused HTTP/1.1\nHost: a.test\n\n',
  'CR CR LF': 'GET /refused HTTP/1.1\r\nHost: a.test\r\r\n\r\n',
  'LF before the request': '\nGET /refused HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'CR before the request': '\rGET /refused HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'two empty lines before the request': '\r\n\r\nGET /refused HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'NUL in a value': get('/refused', 'X: a\0b'),
  'NUL in the Host': 'GET /refused HTTP/1.1\r\nHost: a.test\0.evil\r\n\r\n',
  'CR in a value': get('/refused', 'X: a\rb'),
  'LF in a value': get('/refused', 'X: a\nb'),
  'ESC in a value': get('/refused', 'X: a\x1bb'),
  'DEL in a value': get('/refused', 'X: a\x7fb'),
  'a folded line': get('/refused', 'X: a\r\n b'),
  'a line folded with a tab': get('/refused', 'X: a\r\n\tb'),
  'a line of blanks': get('/refused', 'X: a\r\n \r\nY: b'),
};

const startLines: Cases = {
  'two spaces before the target': request('GET  /refused HTTP/1.1'),
  'two spaces after the target': request('GET /refused  HTTP/1.1'),
  'a space in the target': request('GET /refused me HTTP/1.1'),
  'a tab between': request('GET\t/refused HTTP/1.1'),
  'a trailing space': request('GET /refused HTTP/1.1 '),
  'no version': request('GET /refused'),
  'no target': request('GET HTTP/1.1'),
  'a leading space': request(' GET /refused HTTP/1.1'),
  'a lower-case version': request('GET /refused http/1.1'),
  'a version of one digit': request('GET /refused HTTP/1'),
  'a version of letters': request('GET /refused HTTP/a.b'),
  'a longer version': request('GET /refused HTTP/1.10'),
  'a fragment (CVE-2023-45539)': request('GET /refused#x HTTP/1.1'),
  'NUL in the target': request('GET /refu\0sed HTTP/1.1'),
  'no leading slash': request('GET refused HTTP/1.1'),
  'a slash in the method': request('G/ET /refused HTTP/1.1'),
  'an asterisk without OPTIONS': request('GET * HTTP/1.1'),
};

const connections: Cases = {
  'Transfer-Encoding (CVE-2026-26365)': `${post('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'Content-Length (CVE-2026-26365)': `${post('Connection: Content-Length', 'Content-Length: 5')}hello`,
  'content-length among others': `${post('Connection: close, X, content-length', 'Content-Length: 5')}hello`,
  'in a second field': `${post('Connection: keep-alive', 'Connection: TRANSFER-ENCODING', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'without the field itself': post('Connection: transfer-encoding'),
  'beside what cannot be read': post('Connection: a b, transfer-encoding'),
};

/** Sends `text` followed by a request: one response, the end, and not a byte for the backend. */
async function assertRefused(t: TestContext, text: string, status = 400): Promise<void> {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('served'));
  const client = await rig.send(text + smuggled);
  await client.untilEnded();
  assert.deepEqual(client.statuses, [status]);
  assert.match(client.received, /\r\nconnection: close\r\n/);
  // Anything for the backend would have arrived before this request.
  const other = await rig.send(get('/after'));
  await other.expect('served');
  assert.ok(rig.backend.received.startsWith('GET /after HTTP/1.1\r\n'), JSON.stringify(rig.backend.received));
  assert.equal(rig.backend.requests.length, 1);
}

function describeRefused(title: string, cases: Cases, status = 400): void {
  describe(title, () => {
    for (const [name, text] of Object.entries(cases)) test(name, (t) => assertRefused(t, text, status));
  });
}

describeRefused('case 1: Content-Length with Transfer-Encoding is refused', lengthWithCoding);
describeRefused('case 2: a Content-Length is refused if it is', lengths);
describeRefused('case 3: a Transfer-Encoding is refused if it is', codings);
describeRefused('case 4: a field name is refused if it has', names);
describeRefused('case 5: a chunked body is refused if it has', chunks);
describeRefused('case 6: a head is refused if it has', lineEnds);
describeRefused('case 6: a start line is refused if it has', startLines);
describeRefused('case 7: a Connection field is refused if it names', connections);

describeRefused(
  'case 28: CONNECT is refused, and the connection closed',
  {
    'with an authority': 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n',
    'with a path': request('CONNECT /refused HTTP/1.1'),
  },
  405,
);

describeRefused(
  'another version of HTTP is refused',
  {
    'HTTP/2 with prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/0.9': request('GET /refused HTTP/0.9'),
  },
  505,
);

describe('requests in pieces are refused like whole ones', () => {
  const cases: Cases = {
    'case 1': lengthWithCoding['length first'] as string,
    'case 3': codings['chunked, identity'] as string,
    'case 4': names['a space before the colon (CVE-2021-22959)'] as string,
    'case 6': lineEnds['LF after a later field'] as string,
    'case 7': connections['Content-Length (CVE-2026-26365)'] as string,
  };
  for (const [name, text] of Object.entries(cases)) {
    test(name, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('served'));
      const client = await rig.client();
      for (const byte of text + smuggled) client.send(byte);
      await client.untilEnded();
      assert.deepEqual(client.statuses, [400]);
      assert.equal(rig.backend.received, '');
    });
  }
});

describe('case 5: if the head has already been forwarded, a broken chunk ends both connections', () => {
  const cases: Cases = {
    'a size of +5': '+5\r\nhello\r\n0\r\n\r\n',
    'LF alone after the data': '5\r\nhello\n0\r\n\r\n',
    'a last chunk ended by LF alone': '0\n\r\n',
    'endless extensions': `5;${'a'.repeat(20_000)}`,
  };
  for (const [name, body] of Object.entries(cases)) {
    test(name, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(`${post('Transfer-Encoding: chunked')}3\r\nabc\r\n`);
      const peer = await rig.backend.peer();
      await rig.backend.receive('3\r\nabc\r\n');
      client.send(body + smuggled);
      await client.untilEnded();
      assert.deepEqual(client.statuses, [400]);
      await peer.untilClosed();
      // There is no last chunk: the backend can see that the body is incomplete.
      assert.match(peer.received, /\r\n\r\n3\r\nabc\r\n(5\r\nhello\r\n)?$/);
      assert.equal(rig.backend.peers.length, 1);
    });
  }
});
