import { cases, chunked, forwarded, get, head, post, refused, type Topic } from '../case.ts';

const hello = '5\r\nhello\r\n0\r\n\r\n';
const last = '0\r\n\r\n';
const coded = (...lines: readonly string[]): string => post(...lines) + last;

export const codings: Topic = {
  name: 'codings',
  title: 'Transfer-Encoding of requests',
  cases: [
    ...cases({ source: 'RFC 9112 section 7.1', level: 'MUST', right: [forwarded({ body: 'hello' })] }, [
      ['coding', 'chunked', chunked(hello)],
      ['coding-upper', 'CHUNKED', post('Transfer-Encoding: CHUNKED') + hello],
      ['coding-name-case', 'the name in other case', post('tRANSFER-eNCODING: Chunked') + hello],
      ['coding-padded', 'blanks and tabs around it', post('Transfer-Encoding: \tchunked \t') + hello],
      ['coding-get', 'GET', get('/', 'Transfer-Encoding: chunked') + hello],
      ['coding-head', 'HEAD', head('HEAD / HTTP/1.1', 'Transfer-Encoding: chunked') + hello],
      [
        'coding-delete',
        'DELETE',
        head('DELETE / HTTP/1.1', 'Transfer-Encoding: chunked') + hello,
        { source: 'CVE-2026-29057' },
      ],
      [
        'coding-options',
        'OPTIONS',
        head('OPTIONS / HTTP/1.1', 'Transfer-Encoding: chunked') + hello,
        { source: 'CVE-2026-29057' },
      ],
      ['coding-unknown-method', 'an unknown method', head('FOO / HTTP/1.1', 'Transfer-Encoding: chunked') + hello],
      ['coding-empty-body', 'an empty body', chunked(last), { right: [forwarded({ body: '' })] }],
    ]),
    ...cases({ source: 'RFC 9112 section 6.1', level: 'SHOULD', right: [refused(501), refused(400), refused()] }, [
      [
        'coding-gzip-chunked',
        'gzip, chunked',
        coded('Transfer-Encoding: gzip, chunked'),
        { level: 'MAY', right: [refused(501), refused(400), refused(), forwarded()] },
      ],
      [
        'coding-two-lines',
        'gzip, and chunked in a second line',
        coded('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'),
        { level: 'MAY', right: [refused(501), refused(400), refused(), forwarded()] },
      ],
      [
        'coding-unknown',
        'an unknown coding before chunked',
        coded('Transfer-Encoding: foo, chunked'),
        { right: [refused(501), refused(400), refused(), forwarded()] },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 6.3', level: 'MUST', right: [refused(400), refused(501)] }, [
      ['coding-gzip', 'chunked is not the last coding: gzip', coded('Transfer-Encoding: gzip')],
      ['coding-chunked-gzip', 'chunked, gzip', coded('Transfer-Encoding: chunked, gzip')],
      ['coding-chunked-identity', 'chunked, identity', coded('Transfer-Encoding: chunked, identity')],
      ['coding-identity', 'identity', post('Transfer-Encoding: identity')],
      [
        'coding-identity-length',
        'identity with a length',
        `${post('Transfer-Encoding: identity', 'Content-Length: 5')}hello`,
      ],
      ['coding-empty', 'empty', post('Transfer-Encoding:')],
      [
        'coding-two-lines-identity',
        'chunked, and identity in a second line',
        coded('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
      ],
      [
        'coding-lines-apart',
        'gzip behind chunked, with fields between',
        coded('Transfer-Encoding: chunked', 'X-A: b', 'Transfer-Encoding: gzip'),
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 7.1', level: 'robustness', right: [refused(400), refused(501)] }, [
      ['coding-twice', 'chunked, chunked', coded('Transfer-Encoding: chunked, chunked')],
      [
        'coding-twice-lines',
        'two lines with chunked',
        coded('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
      ],
      ['coding-gzip-within', 'chunked, gzip, chunked', coded('Transfer-Encoding: chunked, gzip, chunked')],
    ]),
    ...cases({ source: 'RFC 9112 section 11.2', level: 'security', right: [refused(400), refused(501)] }, [
      ['coding-xchunked', 'xchunked', coded('Transfer-Encoding: xchunked')],
      ['coding-chunkedx', 'chunkedx', coded('Transfer-Encoding: chunkedx')],
      ['coding-x-chunked', 'x, chunkedx', coded('Transfer-Encoding: x, chunkedx')],
      ['coding-chunk', 'chunk', coded('Transfer-Encoding: chunk')],
      ['coding-quoted', 'quoted', coded('Transfer-Encoding: "chunked"')],
      ['coding-single-quoted', 'in single quotation marks', coded("Transfer-Encoding: 'chunked'")],
      ['coding-parameter', 'with a parameter', coded('Transfer-Encoding: chunked;a=b')],
      ['coding-semicolon', 'with a semicolon', coded('Transfer-Encoding: chunked;')],
      ['coding-vt', 'with a vertical tab before it', coded('Transfer-Encoding: \vchunked')],
      ['coding-form-feed', 'with a form feed behind it', coded('Transfer-Encoding: chunked\f')],
      ['coding-nul', 'with NUL behind it', coded('Transfer-Encoding: chunked\0')],
      ['coding-cr', 'with CR before it', coded('Transfer-Encoding: \rchunked')],
      ['coding-lf', 'with LF before it', coded('Transfer-Encoding: \nchunked')],
      ['coding-no-break', 'with a no-break space before it', coded('Transfer-Encoding: \xa0chunked')],
      ['coding-blank-within', 'with a blank within', coded('Transfer-Encoding: chun ked')],
      ['coding-semicolon-list', 'identity; chunked', coded('Transfer-Encoding: identity; chunked')],
      ['coding-blank-list', 'gzip chunked, without a comma', coded('Transfer-Encoding: gzip chunked')],
      ['coding-dotless', 'with another letter for the e', coded('Transfer-Encoding: chunk\xe9d')],
      ['coding-kelvin', 'with the Kelvin sign for the k', coded('Transfer-Encoding: chun\xe2\x84\xaaed')],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 5.6.1',
        level: 'robustness',
        right: [refused(400), refused(501), refused(), forwarded({ body: '' })],
      },
      [
        ['coding-leading-comma', 'an empty member before it', coded('Transfer-Encoding: , chunked')],
        ['coding-trailing-comma', 'an empty member behind it', coded('Transfer-Encoding: chunked,')],
        ['coding-empty-line', 'an empty line before it', coded('Transfer-Encoding:', 'Transfer-Encoding: chunked')],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 6.1', level: 'security', right: [refused(400), refused(501)] }, [
      [
        'coding-1-0',
        'on HTTP/1.0',
        head('POST / HTTP/1.0', 'Transfer-Encoding: chunked') + last,
        { source: 'CVE-2026-2835' },
      ],
      [
        'coding-1-0-kept',
        'on HTTP/1.0, kept alive',
        head('POST / HTTP/1.0', 'Connection: keep-alive', 'Transfer-Encoding: chunked') + last,
        { source: 'CVE-2026-2835' },
      ],
      [
        'coding-1-0-length',
        'on HTTP/1.0, with a length',
        `${head('POST / HTTP/1.0', 'Content-Length: 5', 'Transfer-Encoding: chunked')}${last}`,
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 7.1', level: 'MUST', right: [] }, [
      [
        'coding-behind',
        'bytes behind the last chunk are the next request',
        `${chunked(hello)}${get('/next')}`,
        { answers: 2, right: [forwarded({ body: 'hello', lastLine: 'GET /next HTTP/1.1' })] },
      ],
      [
        'coding-premature',
        'a client that leaves before the last chunk: not complete',
        chunked('5\r\nhello\r\n'),
        { source: 'RFC 9112 section 8', leaves: true, right: [refused()] },
      ],
    ]),
  ],
};
