import { cases, forwarded, get, post, refused, type Topic } from '../case.ts';

/** A field line that reaches the backend with this value. */
function kept(id: string, title: string, line: string, value: string | readonly string[], name = 'x-a') {
  return [id, title, get('/', ...line.split('\r\n')), { right: [forwarded({ fields: { [name]: value } })] }] as const;
}

const dropped = forwarded({ as: 'field dropped', fields: { 'x-a': null } });

export const fields: Topic = {
  name: 'fields',
  title: 'Field lines of requests',
  cases: [
    ...cases({ source: 'RFC 9110 section 5.5', level: 'MUST', right: [] }, [
      kept('field-plain', 'a value', 'X-A: b', 'b'),
      kept('field-no-blank', 'no blank behind the colon', 'X-A:b', 'b'),
      kept('field-padded', 'blanks and tabs around the value are no part of it', 'X-A: \t b \t ', 'b'),
      kept('field-blanks-within', 'blanks and tabs within the value', 'X-A: b \t  c', 'b \t  c'),
      kept('field-empty', 'an empty value', 'X-A:', ''),
      kept('field-blank-value', 'a value of blanks', 'X-A:   ', ''),
      kept('field-colon', 'colons in the value', 'X-A: b:c::d', 'b:c::d'),
      kept('field-quoted', 'a quoted string with escapes', 'X-A: "b\\"c, d"', '"b\\"c, d"'),
      kept('field-comment', 'a comment', 'X-A: b (c (d))', 'b (c (d))'),
      kept('field-unbalanced', 'an open quotation mark', 'X-A: "b', '"b'),
      kept('field-obs-text', 'bytes above 0x7f (obs-text)', 'X-A: \xe9\xff', '\xe9\xff'),
      kept('field-utf8', 'UTF-8', 'X-A: \xc3\xa9', '\xc3\xa9'),
      kept('field-long', 'a value of 4,000 bytes', `X-A: ${'b'.repeat(4000)}`, 'b'.repeat(4000)),
      kept('field-7000', 'a value of 7,000 bytes', `X-A: ${'b'.repeat(7000)}`, 'b'.repeat(7000)),
      kept('field-percent', 'percent-encoded bytes stay so', 'X-A: %0d%0a%00', '%0d%0a%00'),
    ]),
    ...cases({ source: 'RFC 9110 section 5.1', level: 'MUST', right: [] }, [
      kept('field-name-case', 'names have no case', 'x-A: b', 'b'),
      kept('field-name-digits', 'a name of digits', '0: b', 'b', '0'),
      kept('field-name-long', 'a name of 200 characters', `${'n'.repeat(200)}: b`, 'b', 'n'.repeat(200)),
      kept(
        'field-name-proto',
        'a name that programs of JavaScript take for a property',
        '__proto__: b',
        'b',
        '__proto__',
      ),
      kept('field-name-constructor', 'another one', 'constructor: b', 'b', 'constructor'),
    ]),
    ...cases({ source: 'RFC 9110 section 5.1 (unrecognized fields)', level: 'MUST', right: [] }, [
      kept('field-name-symbols', 'all characters of a token in a name', "!#$%&'*+-.^`|~: b", 'b', "!#$%&'*+-.^`|~"),
      kept('field-name-underscore', 'an underscore in a name', 'Foo_Bar: b', 'b', 'foo_bar'),
      kept('field-name-dot', 'a dot in a name', 'Foo.Bar: b', 'b', 'foo.bar'),
    ]),
    ...cases({ source: 'RFC 9110 section 5.3', level: 'MUST', right: [] }, [
      kept('field-twice', 'the order of lines with one name', 'X-A: b\r\nX-B: 1\r\nX-A: c', ['b', 'c']),
      kept('field-twice-same', 'two equal lines', 'X-A: b\r\nX-A: b', ['b', 'b']),
      kept('field-list-and-line', 'a list and another line', 'X-A: b, c\r\nx-a: d', ['b, c', 'd']),
      kept('field-empty-members', 'empty members of a list', 'X-A: , b,, c,', ', b,, c,'),
    ]),
    ...cases({ source: 'RFC 9112 section 5.1', level: 'MUST', right: [refused(400), refused()] }, [
      ['colon-blank', 'a blank before the colon', get('/', 'X-A : b')],
      ['colon-tab', 'a tab before the colon', get('/', 'X-A\t: b')],
      ['colon-blank-host', 'a blank before the colon of Host', 'GET / HTTP/1.1\r\nHost : a.test\r\n\r\n'],
      [
        'colon-blank-length',
        'a blank before the colon of Content-Length (CVE-2021-22959)',
        `${post('Content-Length : 5')}hello`,
        { source: 'CVE-2021-22959 (Node.js)', level: 'security' },
      ],
      [
        'colon-blank-coding',
        'a blank before the colon of Transfer-Encoding',
        `${post('Transfer-Encoding : chunked')}0\r\n\r\n`,
        { level: 'security' },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9112 section 5.2',
        level: 'MUST',
        right: [refused(400), forwarded({ as: 'unfolded', fields: { 'x-a': /^b[ \t]+c$/ } })],
      },
      [
        ['fold-blank', 'a folded line', get('/', 'X-A: b', ' c')],
        ['fold-tab', 'a line folded with a tab', get('/', 'X-A: b', '\tc')],
        ['fold-empty-first', 'a line that begins with its fold', get('/', 'X-A:', ' b c')],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 5.2', level: 'security', right: [refused(400), refused(501)] }, [
      ['fold-host', 'a folded Host', 'GET / HTTP/1.1\r\nHost: a.test\r\n b\r\n\r\n', { right: [refused(400)] }],
      [
        'fold-length',
        'a folded Content-Length',
        `${post('Content-Length:\r\n 5')}hello`,
        { right: [refused(400), forwarded({ as: 'unfolded', body: 'hello' })] },
      ],
      [
        'fold-coding',
        'a folded Transfer-Encoding',
        `${post('Transfer-Encoding:\r\n chunked')}0\r\n\r\n`,
        { right: [refused(400), forwarded({ as: 'unfolded', body: '' })] },
      ],
      [
        'fold-coding-second',
        'a second coding behind a fold',
        `${post('Transfer-Encoding: chunked\r\n identity')}0\r\n\r\n`,
      ],
      [
        'fold-smuggled-coding',
        'a Transfer-Encoding that is the fold of another field',
        `${post('Content-Length: 5', 'X-A: b', ' Transfer-Encoding: chunked')}0\r\n\r\n`,
        {
          right: [
            refused(400),
            forwarded({ as: 'unfolded', body: '0\r\n\r\n', fields: { 'transfer-encoding': null } }),
          ],
        },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 2.2', level: 'MUST', right: [refused(400), refused()] }, [
      ['value-bare-cr', 'CR in a value', get('/', 'X-A: b\rc')],
      [
        'value-bare-cr-end',
        'CR CR LF at the end of a line',
        get('/', 'X-A: b\r'),
        { right: [refused(400), refused(), forwarded({ as: 'CR dropped', fields: { 'x-a': 'b' } })] },
      ],
      ['value-bare-cr-field', 'CR alone as the end of a line', get('/', 'X-A: b\rX-B: c')],
      ['head-end-cr', 'CR alone at the end of the head', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\rX'],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 5.5',
        level: 'MUST',
        right: [refused(400), refused(), dropped, forwarded({ as: 'NUL replaced', fields: { 'x-a': /^(b c)?$/ } })],
      },
      [
        ['value-nul', 'NUL in a value', get('/', 'X-A: b\0c')],
        ['value-nul-only', 'a value of NUL', get('/', 'X-A: \0')],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9110 section 5.5',
        level: 'robustness',
        right: [refused(400), refused(), dropped, forwarded({ as: 'kept' })],
      },
      [
        ['value-control', 'a control character in a value', get('/', 'X-A: b\x01c')],
        ['value-esc', 'ESC in a value', get('/', 'X-A: b\x1bc')],
        ['value-del', 'DEL in a value', get('/', 'X-A: b\x7fc')],
        ['value-vt', 'a vertical tab in a value', get('/', 'X-A: b\vc')],
        ['value-form-feed', 'a form feed in a value', get('/', 'X-A: b\fc')],
        ['value-backspace', 'a backspace in a value', get('/', 'X-A: b\bc')],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 2.2',
        level: 'robustness',
        right: [refused(400), forwarded({ fields: { 'x-a': 'b', 'x-b': 'c' } })],
      },
      [
        ['field-bare-lf', 'LF alone behind a field', get('/', 'X-A: b\nX-B: c')],
        ['head-end-lf', 'LF alone at the end of the head', `GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\nX-B: c\r\n\n`],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 2.2',
        level: 'SHOULD',
        right: [refused(400), refused(), forwarded({ as: 'field dropped', fields: { 'x-a': null } })],
      },
      [
        ['name-empty', 'an empty name', get('/', ': b')],
        ['name-no-colon', 'a line without a colon', get('/', 'X-A')],
        ['name-blank', 'a blank in a name', get('/', 'X A: b')],
        ['name-nul', 'NUL in a name', get('/', 'X\0A: b')],
        ['name-del', 'DEL in a name', get('/', 'X\x7fA: b')],
        ['name-high', 'a byte above 0x7f in a name', get('/', 'X\xe9A: b')],
        ['name-bracket', 'brackets in a name', get('/', 'X[A]: b')],
        ['name-paren', 'parentheses in a name', get('/', 'X(A): b')],
        ['name-slash', 'a slash in a name', get('/', 'X/A: b')],
        ['name-quote', 'a quotation mark in a name', get('/', '"X-A": b')],
        ['name-at', 'an at sign in a name', get('/', 'X@A: b')],
        ['name-semicolon', 'a semicolon in a name', get('/', 'X;A: b')],
        ['name-comma', 'a comma in a name', get('/', 'X,A: b')],
        ['name-equals', 'an equals sign in a name', get('/', 'X=A: b')],
        [
          'name-leading-blank',
          'a line of one blank, which is a fold',
          get('/', 'X-B: c', ' ', 'X-A: b'),
          { right: [refused(400), refused(), forwarded({ as: 'unfolded', fields: { 'x-b': 'c' } })] },
        ],
      ],
    ),
    ...cases({ source: 'RFC 6585 section 5', level: 'MAY', right: [forwarded(), refused(431), refused(400)] }, [
      ['fields-90', '90 fields', get('/', ...Array.from({ length: 90 }, (_, at) => `X-${at}: b`))],
      ['fields-500', '500 fields', get('/', ...Array.from({ length: 500 }, (_, at) => `X-${at}: b`))],
      [
        'fields-20k',
        'fields of 20,000 bytes',
        get('/', ...Array.from({ length: 5 }, (_, at) => `X-${at}: ${'b'.repeat(4000)}`)),
      ],
      ['fields-100k', 'a field of 100,000 bytes', get('/', `X-A: ${'b'.repeat(100_000)}`)],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 5.1',
        level: 'security',
        right: [
          refused(400),
          forwarded({ as: 'field dropped', requests: 1, fields: { content_length: null, transfer_encoding: null } }),
        ],
      },
      [
        ['alias-length', 'Content_Length, which CGI programs take for Content-Length', post('Content_Length: 5')],
        ['alias-coding', 'Transfer_Encoding', post('Transfer_Encoding: chunked')],
        [
          'alias-length-dot',
          'Content.Length is another field',
          post('Content.Length: 5'),
          { right: [forwarded(), refused(400)] },
        ],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 2.2',
        level: 'MUST',
        right: [forwarded({ line: 'GET /x HTTP/1.1', fields: { host: 'a.test' } })],
      },
      [
        ['head-byte-by-byte', 'a head that arrives byte by byte', [...get('/x', 'X-A: b')]],
        ['head-split-crlf', 'a head that is split within its last CR LF', [get('/x').slice(0, -1), '\n']],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 2.2', level: 'security', right: [refused(400), refused()] }, [
      [
        'head-hidden-lf',
        'a request that bare LF hides in a value',
        get('/', 'X-A: b\n\nGET /smuggled HTTP/1.1\nHost: a.test\nX-B: c'),
        { level: 'robustness', answers: 2, right: [refused(400), refused(), forwarded({ as: 'as two requests' })] },
      ],
      [
        'head-hidden-cr',
        'a request that bare CR hides in a value',
        get('/', 'X-A: b\r\rGET /smuggled HTTP/1.1\rHost: a.test\rX-B: c'),
      ],
      [
        'head-lf-crlf',
        'LF CR LF as the end of the head',
        `GET / HTTP/1.1\r\nHost: a.test\n\r\n${get('/next')}`,
        { level: 'robustness', answers: 2, right: [refused(400), refused(), forwarded()] },
      ],
      [
        'coding-hidden-lf',
        'a Transfer-Encoding behind LF in a value',
        `${post('Content-Length: 5', 'X-A: b\nTransfer-Encoding: chunked')}0\r\n\r\n`,
        {
          level: 'robustness',
          right: [refused(400), refused(), forwarded({ as: 'length dropped', body: '', requests: 1 })],
        },
      ],
      [
        'coding-hidden-nul',
        'a Transfer-Encoding behind NUL in a name',
        `${post('\0Transfer-Encoding: chunked', 'Content-Length: 5')}hello`,
      ],
      [
        'coding-unicode',
        'a Transfer-Encoding with a dotless letter in its name',
        `${post('Tran\xc5\xbffer-Encoding: chunked', 'Content-Length: 5')}hello`,
        { right: [refused(400), refused(), forwarded({ as: 'field dropped', body: 'hello' })] },
      ],
    ]),
  ],
};
