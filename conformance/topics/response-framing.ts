import { type BackendReply, bare, head, ok, passes, replaced, responses, type Topic } from '../case.ts';

const poison = ok('poison');
const chunkedHead = (body: string, ...lines: readonly string[]): string =>
  bare(body, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', ...lines);
const hello = '5\r\nhello\r\n0\r\n\r\n';
const lengths = (...values: readonly string[]): string =>
  bare('hello', 'HTTP/1.1 200 OK', ...values.map((value) => `Content-Length: ${value}`));
const closing = (end: string): BackendReply => ({ end, after: 'close' });
const whole = [passes({ body: 'hello' })];
const cutOff = [passes({ end: 'cut off' }), replaced()];

/** The sender must not write it; some recipients read it as one coding. */
const asOne = {
  level: 'robustness',
  right: [replaced(502), passes({ end: 'cut off' }), passes({ body: 'hello' }, 'taken as one')],
} as const;

const gzip = 'Hipache supports no transfer coding besides `chunked` ([local replies](local-replies.md))';

export const responseFraming: Topic = {
  name: 'response-framing',
  title: 'Framing of responses',
  cases: [
    ...responses({ source: 'RFC 9112 section 6.3', level: 'MUST', right: whole }, [
      ['framing-length', 'a length', lengths('5')],
      ['framing-length-zeros', 'a length with leading zeros', lengths('0005')],
      ['framing-length-zero', 'a length of 0', ok(''), { right: [passes({ body: '', connection: 'kept' })] }],
      ['framing-chunked', 'chunks', chunkedHead(hello)],
      ['framing-chunked-case', 'Chunked in other case', bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: Chunked')],
      ['framing-chunked-empty', 'chunks without data', chunkedHead('0\r\n\r\n'), { right: [passes({ body: '' })] }],
      ['framing-close', 'until the connection closes', closing(bare('hello', 'HTTP/1.1 200 OK'))],
      [
        'framing-close-empty',
        'nothing until the connection closes',
        closing(bare('', 'HTTP/1.1 200 OK')),
        { right: [passes({ body: '' })] },
      ],
      [
        'framing-close-announced',
        'until the connection closes, with close',
        closing(bare('hello', 'HTTP/1.1 200 OK', 'Connection: close')),
      ],
      ['framing-1-0-length', 'HTTP/1.0 with a length', closing(bare('hello', 'HTTP/1.0 200 OK', 'Content-Length: 5'))],
      ['framing-1-0-close', 'HTTP/1.0 until the connection closes', closing(bare('hello', 'HTTP/1.0 200 OK'))],
      [
        'framing-1-0-keep-alive',
        'HTTP/1.0 with keep-alive',
        bare('hello', 'HTTP/1.0 200 OK', 'Connection: keep-alive', 'Content-Length: 5'),
      ],
      [
        'framing-big',
        'a body of 100,000 bytes',
        ok('b'.repeat(100_000)),
        { right: [passes({ body: 'b'.repeat(100_000) })] },
      ],
      [
        'framing-big-chunk',
        'a chunk of 100,000 bytes',
        chunkedHead(`186a0\r\n${'b'.repeat(100_000)}\r\n0\r\n\r\n`),
        { right: [passes({ body: 'b'.repeat(100_000) })] },
      ],
      [
        'framing-many-chunks',
        '2,000 chunks',
        chunkedHead(`${'1\r\nb\r\n'.repeat(2000)}0\r\n\r\n`),
        { right: [passes({ body: 'b'.repeat(2000) })] },
      ],
      [
        'framing-binary',
        'a body with every byte',
        ok(String.fromCharCode(...Array(256).keys())),
        { right: [passes({ body: String.fromCharCode(...Array(256).keys()) })] },
      ],
    ]),
    ...responses({ source: 'RFC 9112 section 7.1.1', level: 'MUST', right: whole }, [
      ['framing-extension', 'extensions of chunks', chunkedHead('5;a=b\r\nhello\r\n0;c\r\n\r\n')],
      ['framing-extension-quoted', 'a quoted extension', chunkedHead('5;a="b;c"\r\nhello\r\n0\r\n\r\n')],
      ['framing-chunk-zeros', 'leading zeros in sizes', chunkedHead('00005\r\nhello\r\n000\r\n\r\n')],
      [
        'framing-chunk-padded',
        'blanks behind sizes, as some servers pad them',
        chunkedHead('5   \r\nhello\r\n0   \r\n\r\n'),
        { level: 'robustness', right: [...whole, replaced(502), passes({ end: 'cut off' })] },
      ],
    ]),
    ...responses(
      {
        source: 'RFC 9112 section 7.1.2',
        level: 'MAY',
        right: [passes({ body: 'hello', trailers: { 'x-sum': 'abc' } }), passes({ body: 'hello' }, 'trailer dropped')],
      },
      [
        ['framing-trailer', 'a trailer', chunkedHead('5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n', 'Trailer: X-Sum')],
        [
          'framing-trailer-te',
          'a trailer for a client that accepts trailers',
          chunkedHead('5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n', 'Trailer: X-Sum'),
          { send: head('GET / HTTP/1.1', 'TE: trailers', 'Connection: TE') },
        ],
      ],
    ),
    ...responses({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [replaced(502)] }, [
      ['framing-lengths', 'two different lengths', closing(lengths('5', '6'))],
      ['framing-lengths-list', 'a list of different lengths', closing(lengths('5, 6'))],
      ['framing-length-word', 'a length that is a word', closing(lengths('five'))],
      ['framing-length-plus', 'a length with a plus sign', closing(lengths('+5'))],
      ['framing-length-minus', 'a negative length', closing(lengths('-5'))],
      ['framing-length-hex', 'a hexadecimal length', closing(lengths('0x5'))],
      ['framing-length-fraction', 'a length with a fraction', closing(lengths('5.0'))],
      ['framing-length-empty', 'an empty length', closing(lengths(''))],
      ['framing-length-blank', 'a length with a blank within', closing(lengths('5 5'))],
      ['framing-length-2-64', 'a length of 2^64 + 5', closing(lengths('18446744073709551621'))],
    ]),
    ...responses(
      {
        source: 'RFC 9112 section 6.3',
        level: 'MAY',
        right: [
          passes({ body: 'hello', fields: { 'content-length': '5' } }),
          replaced(502),
          passes({ body: 'hello' }, 'length dropped'),
        ],
      },
      [
        ['framing-lengths-equal', 'two equal lengths', closing(lengths('5', '5'))],
        ['framing-lengths-equal-list', 'a list of equal lengths', closing(lengths('5, 5'))],
      ],
    ),
    ...responses(
      {
        source: 'RFC 9112 section 6.1',
        level: 'security',
        right: [replaced(502), passes({ body: 'hello', fields: { 'content-length': null } }, 'length dropped')],
      },
      [
        [
          'framing-length-coding',
          'a length and a coding',
          bare(hello, 'HTTP/1.1 200 OK', 'Content-Length: 3', 'Transfer-Encoding: chunked'),
        ],
        [
          'framing-coding-length',
          'a coding and a length',
          bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Content-Length: 3'),
        ],
      ],
    ),
    ...responses(
      { source: 'RFC 9112 section 6.1', level: 'security', right: [replaced(502), passes({ end: 'cut off' })] },
      [
        [
          'framing-codings',
          'chunked twice',
          bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
          asOne,
        ],
        [
          'framing-codings-list',
          'chunked, chunked',
          bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked, chunked'),
          asOne,
        ],
        [
          'framing-coding-x',
          'xchunked',
          closing(bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: xchunked')),
          {
            right: [
              replaced(502),
              passes({ end: 'cut off' }),
              passes({ body: hello, fields: { 'transfer-encoding': 'xchunked' } }),
            ],
          },
        ],
        [
          'framing-coding-vt',
          'a vertical tab before chunked',
          bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: \vchunked'),
        ],
        [
          'framing-coding-1-0',
          'chunked in HTTP/1.0',
          closing(bare(hello, 'HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')),
          { right: [replaced(502), passes({ body: 'hello' }, 'decoded')] },
        ],
        [
          'framing-coding-identity',
          'identity',
          closing(bare('hello', 'HTTP/1.1 200 OK', 'Transfer-Encoding: identity')),
          { level: 'robustness', right: [replaced(502), ...whole] },
        ],
      ],
    ),
    ...responses({ source: 'RFC 9112 section 6.1', level: 'MAY', reason: gzip, right: [passes({}), replaced(502)] }, [
      ['framing-gzip', 'gzip, chunked', bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked')],
      [
        'framing-gzip-close',
        'gzip until the connection closes',
        closing(bare('hello', 'HTTP/1.1 200 OK', 'Transfer-Encoding: gzip')),
      ],
    ]),
    ...responses({ source: 'RFC 9112 section 8', level: 'MUST', right: cutOff }, [
      ['cut-length', 'the end within a length', closing(bare('hel', 'HTTP/1.1 200 OK', 'Content-Length: 5'))],
      [
        'cut-length-start',
        'the end before any byte of a length',
        closing(bare('', 'HTTP/1.1 200 OK', 'Content-Length: 5')),
      ],
      [
        'cut-length-reset',
        'a reset within a length',
        { end: bare('hel', 'HTTP/1.1 200 OK', 'Content-Length: 5'), after: 'reset' },
      ],
      ['cut-chunk', 'the end within a chunk', closing(chunkedHead('5\r\nhel'))],
      ['cut-chunk-size', 'the end within a chunk size', closing(chunkedHead('5\r\nhello\r\n5'))],
      ['cut-chunk-between', 'the end between two chunks', closing(chunkedHead('5\r\nhello\r\n'))],
      ['cut-chunk-start', 'the end before the first chunk', closing(chunkedHead(''))],
      ['cut-last-chunk', 'the end behind the last size', closing(chunkedHead('5\r\nhello\r\n0\r\n'))],
      ['cut-trailer', 'the end within the trailers', closing(chunkedHead('5\r\nhello\r\n0\r\nX-A: b\r\n'))],
      [
        'cut-close-reset',
        'a reset within a body without a length',
        { end: bare('hello', 'HTTP/1.1 200 OK'), after: 'reset' },
        { level: 'SHOULD' },
      ],
      [
        'cut-1-0',
        'the end within a length, for a client of HTTP/1.0',
        closing(bare('hel', 'HTTP/1.1 200 OK', 'Content-Length: 5')),
        { send: head('GET / HTTP/1.0') },
      ],
      [
        'cut-chunk-1-0',
        'the end within a chunk, for a client of HTTP/1.0',
        closing(chunkedHead('5\r\nhel')),
        { send: head('GET / HTTP/1.0'), level: 'SHOULD' },
      ],
    ]),
    ...responses({ source: 'RFC 9112 section 7.1', level: 'security', right: cutOff }, [
      ['bad-chunk-size', 'a chunk size of g', chunkedHead('5\r\nhello\r\ng\r\n')],
      ['bad-chunk-0x', 'a chunk size of 0x5', chunkedHead('0x5\r\nhello\r\n0\r\n\r\n')],
      ['bad-chunk-minus', 'a chunk size of -5', chunkedHead('-5\r\nhello\r\n0\r\n\r\n')],
      ['bad-chunk-2-64', 'a chunk size of 2^64 + 5', chunkedHead('10000000000000005\r\nhello\r\n0\r\n\r\n')],
      ['bad-chunk-end', 'no CR LF behind a chunk', chunkedHead('5\r\nhelloX\r\n0\r\n\r\n')],
      [
        'bad-chunk-trailer',
        'a trailer without a colon',
        chunkedHead('5\r\nhello\r\n0\r\nbroken\r\n\r\n'),
        { right: [...cutOff, passes({ body: 'hello' }, 'trailer dropped')] },
      ],
    ]),
    ...responses({ source: 'RFC 9112 section 2.2', level: 'robustness', right: [...cutOff, ...whole] }, [
      ['loose-chunk-lf', 'LF alone behind a size', chunkedHead('5\nhello\r\n0\r\n\r\n')],
      ['loose-chunk-data-lf', 'LF alone behind a chunk', chunkedHead('5\r\nhello\n0\r\n\r\n')],
      ['loose-chunk-end-lf', 'LF alone at the end', chunkedHead('5\r\nhello\r\n0\r\n\n')],
    ]),
    ...responses({ source: 'RFC 9112 section 9.2', level: 'security', right: whole }, [
      ['surplus-response', 'a second response behind a length', lengths('5') + poison],
      ['surplus-byte', 'one byte behind a length', `${lengths('5')}!`],
      ['surplus-chunked', 'a second response behind the last chunk', chunkedHead(hello) + poison],
      ['surplus-zero', 'a second response behind a length of 0', ok('') + poison, { right: [passes({ body: '' })] }],
      [
        'idle-response',
        'a response on an idle connection',
        { end: lengths('5'), idle: poison },
        { source: 'CVE-2026-48931' },
      ],
      ['idle-byte', 'a byte on an idle connection', { end: lengths('5'), idle: '\n' }],
      [
        'idle-408',
        'a 408 on an idle connection',
        { end: lengths('5'), idle: 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n' },
      ],
    ]),
    ...responses({ source: 'RFC 9112 section 6.3', level: 'security', right: [passes({ body: '' }), replaced(502)] }, [
      ['no-body-204', '204 with a length and a body', `HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison`],
      [
        'no-body-204-chunked',
        '204 with chunks',
        `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${hello}`,
      ],
      ['no-body-204-response', '204 with a second response', `HTTP/1.1 204 No Content\r\n\r\n${poison}`],
      ['no-body-304', '304 with a body', `HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison`],
      [
        'no-body-304-chunked',
        '304 with chunks',
        `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n${hello}`,
      ],
      ['no-body-head', 'a body in response to HEAD', poison, { send: head('HEAD / HTTP/1.1') }],
      ['no-body-head-chunked', 'chunks in response to HEAD', chunkedHead(hello), { send: head('HEAD / HTTP/1.1') }],
    ]),
    ...responses({ source: 'RFC 9110 section 15.3.5', level: 'MUST', right: [] }, [
      [
        'no-body-204-plain',
        '204 without a length keeps the connection',
        'HTTP/1.1 204 No Content\r\n\r\n',
        {
          right: [
            passes({ body: '', connection: 'kept', fields: { 'content-length': null, 'transfer-encoding': null } }),
          ],
        },
      ],
      [
        'no-body-204-zero',
        '204 with a length of 0: the length is removed',
        'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
        {
          source: 'RFC 9110 section 8.6',
          right: [passes({ body: '', connection: 'kept', fields: { 'content-length': null } }), replaced(502)],
        },
      ],
      [
        'no-body-304-length',
        '304 keeps its length',
        'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n',
        {
          source: 'RFC 9110 section 15.4.5',
          right: [
            passes({ body: '', connection: 'kept', fields: { 'content-length': '77' } }),
            passes({ body: '' }, 'length dropped'),
          ],
        },
      ],
      [
        'no-body-304-plain',
        '304 without a length',
        'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
        {
          source: 'RFC 9110 section 15.4.5',
          right: [passes({ body: '', connection: 'kept', fields: { etag: '"a"' } })],
        },
      ],
      [
        'no-body-205',
        '205 with a length of 0',
        'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
        { source: 'RFC 9110 section 15.3.6', right: [passes({ status: 205, body: '' })] },
      ],
      [
        'no-body-205-body',
        '205 with a body, which is framed as any other',
        'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok',
        { source: 'RFC 9110 section 15.3.6', level: 'robustness', right: [passes({ status: 205 }), replaced(502)] },
      ],
    ]),
    ...responses(
      { source: 'RFC 9112 section 6.1', level: 'security', right: [replaced(502), passes({ body: 'hello' })] },
      [
        [
          'connection-names-length',
          'Connection that names Content-Length',
          bare('hello', 'HTTP/1.1 200 OK', 'Connection: Content-Length', 'Content-Length: 5'),
        ],
        [
          'connection-names-coding',
          'Connection that names Transfer-Encoding',
          chunkedHead(hello, 'Connection: Transfer-Encoding'),
        ],
      ],
    ),
    ...responses(
      { source: 'RFC 9112 section 6.3', level: 'robustness', right: [replaced(502), passes({ body: '' })] },
      [
        [
          'head-two-lengths',
          'two lengths in response to HEAD',
          'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
          { send: head('HEAD / HTTP/1.1'), right: [replaced(502)] },
        ],
        [
          'head-bad-length',
          'a length that is no number in response to HEAD',
          'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
          {
            send: head('HEAD / HTTP/1.1'),
            right: [replaced(502), passes({ body: '', fields: { 'content-length': null } }, 'length dropped')],
          },
        ],
        [
          'head-length-coding',
          'a length and a coding in response to HEAD',
          'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
          {
            send: head('HEAD / HTTP/1.1'),
            right: [replaced(502), passes({ body: '', fields: { 'content-length': null } }, 'length dropped')],
          },
        ],
        [
          '304-two-lengths',
          'two lengths in a 304',
          'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
          { right: [replaced(502)] },
        ],
      ],
    ),
    ...responses({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [] }, [
      [
        'head-close',
        'HEAD, and the backend closes',
        closing('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'),
        { send: head('HEAD / HTTP/1.1'), right: [passes({ body: '' })] },
      ],
      [
        '304-cookie',
        'a 304 with Set-Cookie',
        'HTTP/1.1 304 Not Modified\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n',
        { right: [passes({ fields: { 'set-cookie': ['a=b', 'c=d'] }, connection: 'kept' })] },
      ],
      [
        '204-cookie',
        'a 204 with Set-Cookie',
        'HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n',
        { right: [passes({ fields: { 'set-cookie': 'a=b' }, connection: 'kept' })] },
      ],
      [
        'cut-2-40',
        'a length of 2^40, then the end',
        closing(bare('hello', 'HTTP/1.1 200 OK', 'Content-Length: 1099511627776')),
        { source: 'RFC 9112 section 8', right: cutOff },
      ],
      [
        '426-upgrade',
        'a 426 keeps its Upgrade',
        'HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n',
        {
          source: 'RFC 9110 section 15.5.22',
          right: [passes({ status: 426, fields: { upgrade: 'TLS/1.3', connection: /upgrade/i } })],
        },
      ],
      [
        '416',
        'a 416 keeps its Content-Range',
        'HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */5\r\nContent-Length: 0\r\n\r\n',
        {
          source: 'RFC 9110 section 15.5.17',
          right: [passes({ status: 416, fields: { 'content-range': 'bytes */5' } })],
        },
      ],
      [
        '206-parts',
        'a 206 of several parts',
        bare(
          '--x\r\n\r\nab\r\n--x--',
          'HTTP/1.1 206 Partial Content',
          'Content-Type: multipart/byteranges; boundary=x',
          'Content-Length: 16',
        ),
        { source: 'RFC 9110 section 15.3.7', right: [passes({ status: 206, body: '--x\r\n\r\nab\r\n--x--' })] },
      ],
    ]),
    ...responses(
      { source: 'RFC 9112 section 6.1', level: 'security', right: [replaced(502), passes({ end: 'cut off' })] },
      [
        [
          'framing-coding-empty',
          'an empty coding beside a length',
          bare('hello', 'HTTP/1.1 200 OK', 'Transfer-Encoding:', 'Content-Length: 5'),
          {
            right: [replaced(502), passes({ body: 'hello', fields: { 'transfer-encoding': null } }, 'coding dropped')],
          },
        ],
        [
          'framing-chunked-identity',
          'chunked, identity',
          closing(bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked, identity')),
          { right: [replaced(502), passes({ end: 'cut off' }), passes({ body: hello }, 'read until the end')] },
        ],
        [
          'framing-coding-blank',
          'a blank before the colon of Transfer-Encoding',
          bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding : chunked'),
          { source: 'RFC 9112 section 5.1', level: 'MUST', right: [passes({ body: 'hello' }), replaced(502)] },
        ],
      ],
    ),
  ],
};
