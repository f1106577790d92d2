import { cases, forwarded, get, head, post, refused, type Topic } from '../case.ts';

const hidden = get('/smuggled');

export const lengths: Topic = {
  name: 'lengths',
  title: 'Content-Length of requests',
  cases: [
    ...cases({ source: 'RFC 9112 section 6.2', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      ['length', 'a length', `${post('Content-Length: 5')}hello`],
      ['length-zero', 'a length of 0', post('Content-Length: 0'), { right: [forwarded({ body: '' })] }],
      ['length-leading-zeros', 'leading zeros', `${post('Content-Length: 0005')}hello`],
      ['length-many-zeros', '60 leading zeros', `${post(`Content-Length: ${'0'.repeat(60)}5`)}hello`],
      ['length-padded', 'blanks and tabs around it', `${post('Content-Length: \t5\t ')}hello`],
      ['length-case', 'the name in other case', `${post('cONTENT-lENGTH: 5')}hello`],
      [
        'length-request-body',
        'a body that looks like a request',
        `${post(`Content-Length: ${hidden.length}`)}${hidden}`,
        { right: [forwarded({ body: hidden })] },
      ],
      [
        'length-binary-body',
        'a body with every byte',
        `${post('Content-Length: 256')}${String.fromCharCode(...Array(256).keys())}`,
        { right: [forwarded({ body: String.fromCharCode(...Array(256).keys()) })] },
      ],
      [
        'length-big',
        'a body of 100,000 bytes',
        `${post('Content-Length: 100000')}${'b'.repeat(100_000)}`,
        { right: [forwarded({ body: 'b'.repeat(100_000) })] },
      ],
      [
        'length-none',
        'neither length nor coding: no body',
        post(),
        { right: [forwarded({ body: '' })], source: 'RFC 9112 section 6.3' },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [refused(400)] }, [
      ['length-plus', 'a plus sign', `${post('Content-Length: +5')}hello`],
      ['length-minus', 'a minus sign', `${post('Content-Length: -5')}hello`],
      ['length-minus-zero', 'minus zero', post('Content-Length: -0')],
      ['length-hex', 'hexadecimal', `${post('Content-Length: 0x5')}hello`],
      ['length-hex-digit', 'a letter behind the digits', `${post('Content-Length: 5f')}hello`],
      ['length-octal', '0o5', `${post('Content-Length: 0o5')}hello`],
      ['length-fraction', 'a fraction', `${post('Content-Length: 5.0')}hello`],
      ['length-exponent', 'an exponent', `${post('Content-Length: 5e0')}hello`],
      ['length-underscore', 'an underscore', `${post('Content-Length: 0_5')}hello`],
      ['length-two-numbers', 'two numbers', `${post('Content-Length: 5 5')}hello`],
      ['length-word', 'a word', `${post('Content-Length: five')}hello`],
      ['length-empty', 'empty', post('Content-Length:')],
      ['length-blank', 'blanks', post('Content-Length:  \t ')],
      ['length-quoted', 'quoted', `${post('Content-Length: "5"')}hello`],
      ['length-parameter', 'with a parameter', `${post('Content-Length: 5;a')}hello`],
      ['length-unit', 'with a unit', `${post('Content-Length: 5 bytes')}hello`],
      ['length-arabic', 'other digits (U+0665)', `${post('Content-Length: \xd9\xa5')}hello`],
      ['length-vt', 'a vertical tab before it', `${post('Content-Length: \v5')}hello`],
      ['length-no-break', 'a no-break space before it', `${post('Content-Length: \xa05')}hello`],
      ['length-nul', 'NUL behind it', `${post('Content-Length: 5\0')}hello`],
      ['length-list-different', 'a list of different numbers', `${post('Content-Length: 5, 6')}hello!`],
      ['length-list-empty', 'a comma behind it', `${post('Content-Length: 5,')}hello`],
      ['length-list-leading', 'a comma before it', `${post('Content-Length: ,5')}hello`],
      ['length-twice', 'two different fields', `${post('Content-Length: 5', 'Content-Length: 6')}hello!`],
      ['length-twice-zero', '0 and another one', `${post('Content-Length: 0', 'Content-Length: 44')}${hidden}`],
      ['length-twice-case', 'two in different case', `${post('Content-Length: 5', 'content-length: 0')}hello`],
      ['length-twice-bad', 'a second one that is no number', `${post('Content-Length: 5', 'Content-Length: x')}hello`],
      ['length-twice-empty', 'a second one that is empty', `${post('Content-Length: 5', 'Content-Length:')}hello`],
    ]),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'security', right: [refused(400), refused(413), refused()] }, [
      ['length-2-63', '2^63', `${post('Content-Length: 9223372036854775808')}hello`],
      ['length-2-64', '2^64', `${post('Content-Length: 18446744073709551616')}hello`],
      ['length-2-64-5', '2^64 + 5', `${post('Content-Length: 18446744073709551621')}hello`],
      ['length-2-32-times', '2^128 + 5', `${post('Content-Length: 340282366920938463463374607431768211461')}hello`],
    ]),
    ...cases(
      {
        source: 'RFC 9112 section 6.3',
        level: 'MAY',
        right: [refused(400), forwarded({ body: 'hello', fields: { 'content-length': '5' } })],
      },
      [
        ['length-list-equal', 'a list of equal numbers', `${post('Content-Length: 5, 5')}hello`],
        ['length-twice-equal', 'two equal fields', `${post('Content-Length: 5', 'Content-Length: 5')}hello`],
        [
          'length-twice-zeros',
          'two fields of equal value, written otherwise',
          `${post('Content-Length: 5', 'Content-Length: 05')}hello`,
        ],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 6.1',
        level: 'security',
        right: [
          refused(400),
          forwarded({
            ...{ as: 'length dropped', body: '', requests: 1, fields: { 'content-length': null } },
            response: { connection: 'closed' },
          }),
        ],
      },
      [
        [
          'length-coding',
          'Content-Length, then Transfer-Encoding',
          `${post('Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\nX`,
        ],
        [
          'coding-length',
          'Transfer-Encoding, then Content-Length',
          `${post('Transfer-Encoding: chunked', 'Content-Length: 6')}0\r\n\r\nX`,
        ],
        [
          'length-coding-whole',
          'both, with nothing behind the chunks',
          `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        ],
        [
          'length-zero-coding',
          'a length of 0 and a coding',
          `${post('Content-Length: 0', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        ],
        [
          'length-coding-smuggled',
          'both, with a request behind the chunks',
          `${post('Content-Length: 49', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`,
        ],
        [
          'length-coding-apart',
          'both, with fields between',
          `${post('Content-Length: 5', 'X-A: b', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        ],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [] }, [
      [
        'length-premature',
        'a client that leaves within its body: not complete',
        `${post('Content-Length: 10')}hello`,
        { source: 'RFC 9112 section 8', leaves: true, right: [refused()] },
      ],
      [
        'length-behind',
        'bytes behind the body are the next request',
        `${post('Content-Length: 5')}hello${get('/next')}`,
        { answers: 2, right: [forwarded({ body: 'hello', lastLine: 'GET /next HTTP/1.1' })] },
      ],
      [
        'length-byte-by-byte',
        'a body that arrives byte by byte',
        [post('Content-Length: 5'), ...'hello'],
        { right: [forwarded({ body: 'hello' })] },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      ['length-get', 'GET with a body', `${get('/', 'Content-Length: 5')}hello`],
      ['length-head', 'HEAD with a body', `${head('HEAD / HTTP/1.1', 'Content-Length: 5')}hello`],
      ['length-delete', 'DELETE with a body', `${head('DELETE / HTTP/1.1', 'Content-Length: 5')}hello`],
      ['length-options', 'OPTIONS with a body', `${head('OPTIONS / HTTP/1.1', 'Content-Length: 5')}hello`],
      ['length-unknown-method', 'an unknown method with a body', `${head('FOO / HTTP/1.1', 'Content-Length: 5')}hello`],
      ['length-1-0', 'HTTP/1.0 with a body', `${head('POST / HTTP/1.0', 'Content-Length: 5')}hello`],
    ]),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [forwarded({ body: '' })] }, [
      ['no-length-put', 'PUT without length and coding has no body', head('PUT / HTTP/1.1')],
      [
        'no-length-1-0',
        'POST of HTTP/1.0 without a length has no body',
        head('POST / HTTP/1.0'),
        { right: [forwarded({ body: '' }), refused(400, 411)] },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 8.6',
        level: 'SHOULD',
        right: [forwarded({ fields: { 'content-length': '0' }, body: '' })],
      },
      [
        ['length-zero-kept', 'a length of 0 of POST reaches the backend', post('Content-Length: 0')],
        ['length-zero-put', 'a length of 0 of PUT reaches the backend', head('PUT / HTTP/1.1', 'Content-Length: 0')],
      ],
    ),
    ...cases({ source: 'RFC 9110 section 8.6', level: 'MAY', right: [refused(), forwarded({ body: 'hello' })] }, [
      [
        'length-2-53',
        'a length of 2^53, then the end',
        `${post('Content-Length: 9007199254740992')}hello`,
        { leaves: true, right: [refused()] },
      ],
      [
        'length-2-40',
        'a length of 2^40, then the end',
        `${post('Content-Length: 1099511627776')}hello`,
        { leaves: true, right: [refused()] },
      ],
      [
        'length-blank-twice',
        'a second Content-Length with a blank before its colon',
        `${post('Content-Length: 5', 'Content-Length : 6')}hello!`,
        { level: 'security', source: 'CVE-2021-22959 (Node.js)', right: [refused(400)] },
      ],
      [
        'length-tab-fold',
        'a Content-Length as the fold of another field',
        `${post('X-A: b', '\tContent-Length: 5')}`,
        {
          level: 'security',
          source: 'RFC 9112 section 5.2',
          right: [refused(400), forwarded({ as: 'unfolded', body: '', fields: { 'content-length': null } })],
        },
      ],
      [
        'length-plus-coding',
        'a bad length beside a coding',
        `${post('Content-Length: x', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        {
          level: 'security',
          source: 'RFC 9112 section 6.1',
          right: [refused(400), forwarded({ as: 'length dropped', body: '', fields: { 'content-length': null } })],
        },
      ],
    ]),
  ],
};
