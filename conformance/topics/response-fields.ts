import { bare, type FieldWants, ok, passes, replaced, responses, type Topic } from '../case.ts';

const now = 'Fri, 27 Nov 2026 18:00:00 GMT';

/** Fields of a response that reach the client as they are. */
function kept(id: string, title: string, lines: readonly string[], fields: FieldWants) {
  return [`response-${id}`, title, ok('ok', ...lines), { right: [passes({ fields, body: 'ok' })] }] as const;
}

function loose(
  id: string,
  title: string,
  lines: readonly string[],
  fields: FieldWants,
  ...more: readonly ReturnType<typeof passes>[]
) {
  return [
    `response-${id}`,
    title,
    ok('ok', ...lines),
    { right: [passes({ fields, body: 'ok' }), replaced(502), ...more] },
  ] as const;
}

const bad = (id: string, title: string, ...lines: readonly string[]) =>
  [`response-${id}`, title, ok('ok', ...lines)] as const;

const mixed =
  'LF among lines that end with CR LF has two readings: it may be a part of the value. Heads that have LF throughout are read';

const absent = (name: string): FieldWants => ({ [name]: null });

export const responseFields: Topic = {
  name: 'response-fields',
  title: 'Field lines of responses',
  cases: [
    ...responses({ source: 'RFC 9110 section 5.5', level: 'MUST', right: [] }, [
      kept('empty', 'an empty value', ['X-A:'], { 'x-a': '' }),
      kept('padded', 'blanks and tabs around the value are no part of it', ['X-A: \t b \t'], { 'x-a': 'b' }),
      kept('obs-text', 'bytes above 0x7f', ['X-A: \xe9\xff'], { 'x-a': '\xe9\xff' }),
      kept('quoted', 'a quoted string', ['X-A: "b\\"c, d"'], { 'x-a': '"b\\"c, d"' }),
      kept('long', 'a value of 3,000 bytes', [`X-A: ${'b'.repeat(3000)}`], { 'x-a': 'b'.repeat(3000) }),
      kept('symbols', 'all characters of a token in a name', ["!#$%&'*+-.^_|~: b"], { "!#$%&'*+-.^_|~": 'b' }),
      kept('underscore', 'an underscore in a name', ['X_A: b'], { x_a: 'b' }),
      kept('proto', 'a name that programs of JavaScript take for a property', ['__proto__: b'], { __proto__: 'b' }),
    ]),
    ...responses({ source: 'RFC 9110 section 5.3', level: 'MUST', right: [] }, [
      kept(
        'set-cookies',
        'lines of Set-Cookie stay apart and in order',
        ['Set-Cookie: a=1; Path=/', 'X-B: x', 'Set-Cookie: b=2', 'set-cookie: a=3'],
        { 'set-cookie': ['a=1; Path=/', 'b=2', 'a=3'] },
      ),
      kept('lines', 'lines of one name stay in order', ['X-A: 1', 'X-A: 2, 3', 'X-A: 1'], {
        'x-a': ['1', '2, 3', '1'],
      }),
      kept(
        'authenticate',
        'lines of WWW-Authenticate',
        ['WWW-Authenticate: Basic realm="a, b"', 'WWW-Authenticate: Digest nonce="c"'],
        { 'www-authenticate': ['Basic realm="a, b"', 'Digest nonce="c"'] },
      ),
      kept(
        '50-fields',
        '50 fields',
        Array.from({ length: 50 }, (_, at) => `X-${at}: ${at}`),
        { 'x-0': '0', 'x-49': '49' },
      ),
    ]),
    ...responses({ source: 'RFC 9110 section 7.6', level: 'MUST', right: [] }, [
      kept('location', 'Location stays as it is', ['Location: http://b.test:81/x'], { location: 'http://b.test:81/x' }),
      kept('etag', 'ETag and Last-Modified', ['ETag: W/"a"', `Last-Modified: ${now}`], {
        etag: 'W/"a"',
        'last-modified': now,
      }),
      kept(
        'cache-control',
        'Cache-Control, Expires and Vary',
        ['Cache-Control: private, no-store', 'Expires: 0', 'Vary: *'],
        { 'cache-control': 'private, no-store', expires: '0', vary: '*' },
      ),
      kept('encoding', 'Content-Encoding', ['Content-Encoding: gzip'], { 'content-encoding': 'gzip' }),
      kept('type', 'Content-Type with a parameter', ['Content-Type: text/plain; charset="utf-8"'], {
        'content-type': 'text/plain; charset="utf-8"',
      }),
      kept('no-type', 'no Content-Type is made up', [], { 'content-type': null }),
      kept('ranges', 'Accept-Ranges and Age', ['Accept-Ranges: bytes', 'Age: 5'], {
        'accept-ranges': 'bytes',
        age: '5',
      }),
      kept('hsts', 'Strict-Transport-Security', ['Strict-Transport-Security: max-age=5'], {
        'strict-transport-security': 'max-age=5',
      }),
      kept('link', 'Link', ['Link: </a>; rel="preload"'], { link: '</a>; rel="preload"' }),
      kept('proxy-status', 'Proxy-Status of a proxy behind', ['Proxy-Status: b; error=x'], {
        'proxy-status': /^b; error=x/,
      }),
      kept('unknown', 'an unknown field', ['X-Unknown: a'], { 'x-unknown': 'a' }),
      kept('allow', 'Allow', ['Allow: GET, , HEAD'], { allow: 'GET, , HEAD' }),
    ]),
    ...responses(
      {
        source: 'RFC 9110 section 6.6.1',
        level: 'MAY',
        right: [passes({ fields: { date: now } }), passes({ fields: { date: / GMT$/ } }, 'replaced')],
      },
      [['response-date', 'Date stays as it is', ok('ok', `Date: ${now}`)]],
    ),
    ...responses(
      {
        source: 'RFC 9110 section 10.2.4',
        level: 'MAY',
        right: [passes({ fields: { server: 'b/1.0' } }), passes({}, 'replaced')],
      },
      [['response-server', 'Server of the backend', ok('ok', 'Server: b/1.0')]],
    ),
    ...responses({ source: 'RFC 9110 section 6.6.1', level: 'MUST', right: [passes({ fields: { date: / GMT$/ } })] }, [
      ['response-no-date', 'Date is added if it is missing', ok()],
      ['response-no-date-404', 'to a 404 too', 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno'],
      ['response-no-date-304', 'to a 304 too', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'],
    ]),
    ...responses({ source: 'RFC 9110 section 7.6.1', level: 'MUST', right: [] }, [
      ...(
        [
          ['nominated', 'a field that Connection names is removed', ['Connection: X-Hop', 'X-Hop: 1']],
          ['nominated-before', 'named behind the field', ['X-Hop: 1', 'Connection: x-hop']],
          ['nominated-list', 'named in a list', ['Connection: keep-alive, , X-Hop', 'X-Hop: 1']],
          ['nominated-line', 'named in a second line', ['Connection: keep-alive', 'Connection: X-Hop', 'X-Hop: 1']],
          ['nominated-close', 'named beside close', ['Connection: close, X-Hop', 'X-Hop: 1']],
        ] as const
      ).map(([id, title, lines]) => kept(id, title, lines, absent('x-hop'))),
    ]),
    ...responses({ source: 'RFC 9110 section 7.6.1', level: 'SHOULD', right: [] }, [
      kept('keep-alive', 'Keep-Alive of the backend is removed', ['Keep-Alive: timeout=7777'], { 'keep-alive': null }),
      kept('proxy-connection', 'Proxy-Connection is removed', ['Proxy-Connection: close'], absent('proxy-connection')),
      kept('upgrade', 'Upgrade without Connection is removed', ['Upgrade: h2c'], absent('upgrade')),
    ]),
    ...responses(
      { source: 'RFC 9110 section 7.6.1', level: 'MUST', right: [passes({ connection: 'kept', body: 'ok' })] },
      [
        [
          'response-backend-close',
          'close of the backend is not that of the proxy',
          { end: ok('ok', 'Connection: close'), after: 'close' },
          { level: 'MAY', right: [passes({ connection: 'kept' }), passes({ connection: 'closed' }, 'closed')] },
        ],
        [
          'response-backend-ends',
          'nor is its end behind a whole response',
          { end: ok(), after: 'close' },
          { level: 'MAY', right: [passes({ connection: 'kept' }), passes({ connection: 'closed' }, 'closed')] },
        ],
      ],
    ),
    ...responses({ source: 'RFC 9112 section 5.1', level: 'MUST', right: [] }, [
      loose('colon-blank', 'a blank before a colon is removed', ['X-A : b'], { 'x-a': 'b' }),
      loose('colon-tab', 'a tab before a colon is removed', ['X-A\t: b'], { 'x-a': 'b' }),
    ]),
    ...responses({ source: 'RFC 9112 section 5.2', level: 'MUST', right: [] }, [
      loose('fold', 'a folded line is unfolded, or the response refused', ['X-A: b', ' c'], { 'x-a': /^b +c$/ }),
      loose('fold-tab', 'a line folded with a tab', ['X-A: b', '\tc'], { 'x-a': /^b[ \t]+c$/ }),
      loose('fold-empty', 'a line that begins with its fold', ['X-A:', ' b'], { 'x-a': 'b' }),
      loose('fold-twice', 'a line that is folded twice', ['X-A: b', ' c', ' d'], { 'x-a': /^b +c +d$/ }),
    ]),
    ...responses({ source: 'RFC 9112 section 5.2', level: 'security', right: [replaced(502)] }, [
      [
        'response-fold-first',
        'a fold before the first field',
        bare('ok', 'HTTP/1.1 200 OK', ' X-A: b', 'Content-Length: 2'),
      ],
      [
        'response-fold-length',
        'a folded Content-Length',
        bare('ok', 'HTTP/1.1 200 OK', 'Content-Length:', ' 2'),
        { right: [replaced(502), passes({ body: 'ok' }, 'unfolded')] },
      ],
      [
        'response-fold-coding',
        'a folded Transfer-Encoding',
        bare('2\r\nok\r\n0\r\n\r\n', 'HTTP/1.1 200 OK', 'Transfer-Encoding:', ' chunked'),
        { right: [replaced(502), passes({ body: 'ok' }, 'unfolded')] },
      ],
    ]),
    ...responses(
      {
        source: 'RFC 9112 section 2.2',
        level: 'robustness',
        right: [passes({ body: 'ok', fields: { 'x-a': 'b' } }), replaced(502)],
      },
      [
        ['response-lf', 'LF alone at the end of every line', 'HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok'],
        ['response-lf-fields', 'LF alone behind every field', 'HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\n\nok'],
        [
          'response-lf-one',
          'LF alone behind one field, then CR LF',
          'HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\nok',
          { reason: mixed },
        ],
        [
          'response-lf-end',
          'LF alone at the end of the head',
          'HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\nok',
        ],
      ],
    ),
    ...responses(
      {
        source: 'RFC 9112 section 2.2',
        level: 'MUST',
        right: [replaced(502), passes({ fields: { 'x-a': /^b +c$/ } }, 'CR replaced')],
      },
      [
        bad('bare-cr', 'CR in a value', 'X-A: b\rc'),
        [
          'response-bare-cr-line',
          'CR alone as the end of a line',
          ok('ok', 'X-A: b\rSet-Cookie: c=d'),
          { right: [replaced(502), passes({ fields: { 'set-cookie': null, 'x-a': /^b / } }, 'CR replaced')] },
        ],
        [
          'response-cr-end',
          'CR CR LF at the end of a line',
          ok('ok', 'X-A: b\r'),
          { right: [replaced(502), passes({ fields: { 'x-a': 'b' } }, 'CR dropped')] },
        ],
      ],
    ),
    ...responses(
      {
        source: 'RFC 9110 section 5.5',
        level: 'MUST',
        right: [replaced(502), passes({ fields: { 'x-a': null } }, 'field dropped')],
      },
      [bad('nul', 'NUL in a value', 'X-A: b\0c'), bad('nul-name', 'NUL in a name', 'X\0A: b')],
    ),
    ...responses(
      {
        source: 'RFC 9110 section 5.5',
        level: 'robustness',
        right: [replaced(502), passes({ fields: { 'x-a': null } }, 'field dropped'), passes({}, 'kept')],
      },
      [
        bad('control', 'a control character in a value', 'X-A: b\x01c'),
        bad('esc', 'ESC in a value', 'X-A: b\x1bc'),
        bad('del', 'DEL in a value', 'X-A: b\x7fc'),
      ],
    ),
    ...responses(
      {
        source: 'RFC 9112 section 5',
        level: 'robustness',
        right: [replaced(502), passes({ fields: { 'x-a': null } }, 'field dropped')],
      },
      [
        bad('name-empty', 'an empty name', ': b'),
        bad('name-blank', 'a blank in a name', 'X A: b'),
        bad('no-colon', 'a line without a colon', 'X-A'),
        bad('name-high', 'a byte above 0x7f in a name', 'X\xe9A: b'),
        bad('name-bracket', 'brackets in a name', 'X[A]: b'),
        bad('name-quote', 'a quotation mark in a name', '"X-A": b'),
      ],
    ),
    ...responses({ source: 'RFC 9110 section 5.4', level: 'MAY', right: [passes({ body: 'ok' }), replaced(502)] }, [
      bad('6000', 'a value of 6,000 bytes', `X-A: ${'b'.repeat(6000)}`),
      bad('100-fields', '100 fields', ...Array.from({ length: 100 }, (_, at) => `X-${at}: b`)),
      bad('20k', 'fields of 20,000 bytes', ...Array.from({ length: 5 }, (_, at) => `X-${at}: ${'b'.repeat(4000)}`)),
      bad('200-fields', '200 fields', ...Array.from({ length: 200 }, (_, at) => `X-${at}: b`)),
      bad('big-cookie', 'a value of 15,000 bytes', `Set-Cookie: ${'b'.repeat(15_000)}`),
      bad('300k', 'fields of 300,000 bytes', ...Array.from({ length: 75 }, (_, at) => `X-${at}: ${'b'.repeat(4000)}`)),
    ]),
  ],
};
