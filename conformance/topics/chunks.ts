import { cases, chunked, forwarded, get, refused, type Topic } from '../case.ts';

const hello = '5\r\nhello\r\n';
const long = `186a0\r\n${'b'.repeat(100_000)}\r\n`;
/** Where the lines of chunks end: readings that differ are an attack. */
const ends = { source: 'request smuggling by TERM.EXT and the like' } as const;

const bad = { source: 'RFC 9112 section 7.1', level: 'security', right: [refused(400), refused()] } as const;

export const chunks: Topic = {
  name: 'chunks',
  title: 'Chunked bodies of requests',
  cases: [
    ...cases({ source: 'RFC 9112 section 7.1', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      ['chunks-several', 'several chunks', chunked('2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n')],
      ['chunks-zeros', 'leading zeros in a size', chunked('0005\r\nhello\r\n0\r\n\r\n')],
      ['chunks-many-zeros', '40 leading zeros', chunked(`${'0'.repeat(40)}5\r\nhello\r\n0\r\n\r\n`)],
      ['chunks-last-zeros', 'a last chunk of several zeros', chunked(`${hello}0000\r\n\r\n`)],
      [
        'chunks-upper',
        'a size in upper case',
        chunked(`A\r\nhellohello\r\n0\r\n\r\n`),
        { right: [forwarded({ body: 'hellohello' })] },
      ],
      [
        'chunks-lower',
        'a size in lower case',
        chunked(`a\r\nhellohello\r\n0\r\n\r\n`),
        { right: [forwarded({ body: 'hellohello' })] },
      ],
      ['chunks-byte-by-byte', 'that arrive byte by byte', [chunked(''), ...`${hello}0\r\n\r\n`]],
      [
        'chunks-crlf-data',
        'CR LF in the data',
        chunked('4\r\n\r\n\r\n\r\n0\r\n\r\n'),
        { right: [forwarded({ body: '\r\n\r\n' })] },
      ],
      [
        'chunks-last-in-data',
        'data that looks like the last chunk',
        chunked('5\r\n0\r\n\r\n\r\n0\r\n\r\n'),
        { right: [forwarded({ body: '0\r\n\r\n' })] },
      ],
      [
        'chunks-big',
        'a chunk of 100,000 bytes',
        chunked(`${long}0\r\n\r\n`),
        { right: [forwarded({ body: 'b'.repeat(100_000) })] },
      ],
      [
        'chunks-many',
        '2,000 chunks of one byte',
        chunked(`${'1\r\nb\r\n'.repeat(2000)}0\r\n\r\n`),
        { right: [forwarded({ body: 'b'.repeat(2000) })] },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 7.1.1', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      ['extension', 'an extension is ignored', chunked('5;a=b\r\nhello\r\n0\r\n\r\n')],
      ['extension-no-value', 'an extension without a value', chunked('5;a\r\nhello\r\n0\r\n\r\n')],
      ['extension-quoted', 'a quoted value', chunked('5;a="b;c, d"\r\nhello\r\n0\r\n\r\n')],
      ['extension-escaped', 'a quoted value with escapes', chunked('5;a="b\\"c"\r\nhello\r\n0\r\n\r\n')],
      ['extension-several', 'several extensions', chunked('5;a=b;c;d="e"\r\nhello\r\n0\r\n\r\n')],
      ['extension-last', 'an extension of the last chunk', chunked(`${hello}0;a=b\r\n\r\n`)],
      ['extension-blanks', 'blanks around the parts of an extension', chunked('5 ; a = b\r\nhello\r\n0\r\n\r\n')],
      ['extension-tabs', 'tabs around the parts of an extension', chunked('5\t;\ta\t=\tb\r\nhello\r\n0\r\n\r\n')],
      ['extension-obs-text', 'bytes above 0x7f in a quoted value', chunked('5;a="\xe9"\r\nhello\r\n0\r\n\r\n')],
      ['extension-200', 'an extension of 200 bytes', chunked(`5;a=${'b'.repeat(200)}\r\nhello\r\n0\r\n\r\n`)],
    ]),
    ...cases({ ...bad, source: 'RFC 9112 section 7.1.1' }, [
      [
        'extension-20000',
        'extensions of 20,000 bytes',
        chunked(`5;a=${'b'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
        { source: 'CVE-2023-39326 (Go)', right: [refused(400, 413, 431), refused(), forwarded({ body: 'hello' })] },
      ],
      [
        'extension-many',
        '5,000 chunks with extensions',
        chunked(`${`1;a=${'b'.repeat(20)}\r\nb\r\n`.repeat(5000)}0\r\n\r\n`),
        {
          source: 'CVE-2024-22019 (Node.js)',
          right: [forwarded({ body: 'b'.repeat(5000) }), refused(400, 413, 431), refused()],
        },
      ],
      ['extension-lf', 'an extension that LF alone ends', chunked('5;\nhello\r\n0\r\n\r\n'), ends],
      ['extension-lf-within', 'LF within an extension', chunked('5;a=\nb\r\nhello\r\n0\r\n\r\n'), ends],
      ['extension-cr', 'an extension that CR alone ends', chunked('5;a\rhello\r\n0\r\n\r\n'), ends],
      ['extension-cr-within', 'CR within an extension', chunked('5;a=\rb\r\nhello\r\n0\r\n\r\n')],
      ['extension-nul', 'NUL in an extension', chunked('5;a=\0\r\nhello\r\n0\r\n\r\n')],
      [
        'extension-del',
        'DEL in an extension',
        chunked('5;a=\x7f\r\nhello\r\n0\r\n\r\n'),
        { level: 'robustness', right: [refused(400), refused(), forwarded({ body: 'hello' })] },
      ],
      ['extension-lf-quoted', 'LF in a quoted value', chunked('5;a="\n"\r\nhello\r\n0\r\n\r\n'), ends],
    ]),
    ...cases(
      {
        source: 'RFC 9112 section 7.1.1',
        level: 'robustness',
        right: [refused(400), refused(), forwarded({ body: 'hello' })],
      },
      [
        ['chunk-trailing-blank', 'a blank behind the size', chunked('5 \r\nhello\r\n0\r\n\r\n')],
        ['chunk-trailing-tab', 'a tab behind the size', chunked('5\t\r\nhello\r\n0\r\n\r\n')],
        ['extension-empty', 'a semicolon without an extension', chunked('5;\r\nhello\r\n0\r\n\r\n')],
        ['extension-open-quote', 'a quotation mark that is not closed', chunked('5;a="b\r\nhello\r\n0\r\n\r\n')],
        ['extension-comma', 'a comma as separator', chunked('5,a\r\nhello\r\n0\r\n\r\n')],
      ],
    ),
    ...cases(bad, [
      ['chunk-lf', 'a size that LF alone ends', chunked('5\nhello\r\n0\r\n\r\n'), ends],
      ['chunk-cr', 'a size that CR alone ends', chunked('5\rhello\r\n0\r\n\r\n'), ends],
      ['chunk-0x', 'a size of 0x5', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-plus', 'a size of +5', chunked('+5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-minus', 'a size of -5', chunked('-5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-minus-zero', 'a last chunk of -0', chunked(`${hello}-0\r\n\r\n`)],
      ['chunk-underscore', 'a size of 0_5', chunked('0_5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-g', 'a size of g', chunked('g\r\nhello\r\n0\r\n\r\n')],
      ['chunk-empty', 'an empty size', chunked('\r\nhello\r\n0\r\n\r\n')],
      ['chunk-no-size', 'an extension without a size', chunked(';a\r\nhello\r\n0\r\n\r\n')],
      ['chunk-leading-blank', 'a blank before the size', chunked(' 5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-blank-within', 'a blank within the size', chunked('0 5\r\nhello\r\n0\r\n\r\n')],
      ['chunk-nul', 'NUL behind the size', chunked('5\0\r\nhello\r\n0\r\n\r\n')],
      ['chunk-vt', 'a vertical tab behind the size', chunked('5\v\r\nhello\r\n0\r\n\r\n')],
      ['chunk-high', 'a byte above 0x7f behind the size', chunked('5\xa0\r\nhello\r\n0\r\n\r\n')],
      ['chunk-2-53', 'a size above 2^53', chunked('20000000000001\r\nhello\r\n0\r\n\r\n')],
      ['chunk-2-63', 'a size of 2^63', chunked('8000000000000000\r\nhello\r\n0\r\n\r\n')],
      ['chunk-2-64', 'a size of 2^64 + 5', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
      [
        'chunk-2-32',
        'a size of 2^32 + 5 with fewer data, then the end',
        chunked('100000005\r\nhello\r\n0\r\n\r\n'),
        { leaves: true },
      ],
      ['chunk-no-crlf', 'no CR LF behind the data', chunked('5\r\nhello0\r\n\r\n'), ends],
      ['chunk-too-long', 'one byte more than the size says', chunked('5\r\nhello!\r\n0\r\n\r\n'), ends],
      ['chunk-too-short', 'one byte less than the size says', chunked('6\r\nhello\r\n0\r\n\r\n'), ends],
      ['chunk-data-lf', 'LF alone behind the data', chunked('5\r\nhello\n0\r\n\r\n'), ends],
      ['chunk-data-cr', 'CR alone behind the data', chunked('5\r\nhello\r0\r\n\r\n'), ends],
      ['chunk-data-lf-cr', 'LF CR behind the data', chunked('5\r\nhello\n\r0\r\n\r\n')],
      ['chunk-last-lf', 'a last chunk that LF alone ends', chunked(`${hello}0\n\r\n`), ends],
      ['chunk-last-cr', 'a last chunk that CR alone ends', chunked(`${hello}0\r\r\n`)],
      ['chunk-end-lf', 'LF alone at the end of the body', chunked(`${hello}0\r\n\n`), ends],
      ['chunk-end-other', 'other bytes than CR LF at the end', chunked(`${hello}0\r\nXX\r\n\r\n`), ends],
    ]),
    ...cases({ source: 'RFC 9112 section 7.1.2', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      [
        'trailer',
        'a trailer is kept, or removed',
        chunked(`${hello}0\r\nX-Sum: abc\r\n\r\n`),
        {
          source: 'RFC 9110 section 6.5.1',
          right: [forwarded({ body: 'hello', trailers: { 'x-sum': 'abc' } }), forwarded({ as: 'trailer dropped' })],
        },
      ],
      ['trailer-several', 'several trailers', chunked(`${hello}0\r\nX-A: 1\r\nX-B: 2\r\n\r\n`)],
      [
        'trailer-announced',
        'a trailer that Trailer announces',
        chunked(`${hello}0\r\nX-Sum: abc\r\n\r\n`, 'Trailer: X-Sum'),
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 6.5.1', level: 'security', right: [] }, [
      ...[
        'Content-Length: 5',
        'Transfer-Encoding: chunked',
        'Host: b.test',
        'Authorization: Basic eDp5',
        'X-Forwarded-For: 192.0.2.6',
        'Connection: close',
        'Cookie: a=b',
        'Content-Type: a/b',
      ].map((line) => {
        const name = line.slice(0, line.indexOf(':'));
        const right = [
          forwarded({ body: 'hello', trailers: { [name.toLowerCase()]: null } }),
          refused(400),
          forwarded({ as: 'kept as a trailer' }),
        ];
        return [
          `trailer-${name.toLowerCase()}`,
          `${name} in a trailer is not merged with the head`,
          chunked(`${hello}0\r\n${line}\r\n\r\n`),
          { right },
        ] as const;
      }),
    ]),
    ...cases({ ...bad, source: 'RFC 9112 section 7.1.2' }, [
      [
        'trailer-no-colon',
        'a trailer without a colon',
        chunked(`${hello}0\r\nGET /smuggled HTTP/1.1\r\n\r\n`),
        { right: [refused(400), refused(), forwarded({ as: 'trailer dropped', trailers: {} })] },
      ],
      [
        'trailer-lf',
        'a trailer that LF alone ends',
        chunked(`${hello}0\r\nX-A: b\n\r\n`),
        { level: 'robustness', right: [refused(400), refused(), forwarded({ body: 'hello' })] },
      ],
      [
        'trailer-fold',
        'a folded trailer',
        chunked(`${hello}0\r\nX-A: b\r\n c\r\n\r\n`),
        { level: 'robustness', right: [refused(400), refused(), forwarded({ body: 'hello' })] },
      ],
      [
        'trailer-nul',
        'NUL in a trailer',
        chunked(`${hello}0\r\nX-A: \0\r\n\r\n`),
        { right: [refused(400), refused(), forwarded({ as: 'trailer dropped', trailers: { 'x-a': null } })] },
      ],
      [
        'trailer-request',
        'a request behind the trailers is the next one',
        `${chunked(`${hello}0\r\nX-A: b\r\n\r\n`)}${get('/next')}`,
        { level: 'MUST', answers: 2, right: [forwarded({ body: 'hello', lastLine: 'GET /next HTTP/1.1' })] },
      ],
    ]),
  ],
};
