import { cases, forwarded, get, head, refused, type Topic } from '../case.ts';

const rest = '\r\nHost: a.test\r\n\r\n';
const section3 = 'RFC 9112 section 3';

/** A target that must reach the backend as it is. */
function same(id: string, title: string, target: string) {
  return [id, title, get(target), { right: [forwarded({ line: `GET ${target} HTTP/1.1` })] }] as const;
}

/** A target outside the grammar, which is refused or forwarded as it is. */
function loose(id: string, title: string, target: string) {
  const right = [refused(400), forwarded({ line: `GET ${target} HTTP/1.1` })];
  return [id, title, get(target), { right }] as const;
}

/** A method that must reach the backend as it is. */
function method(id: string, title: string, name: string, ...statuses: readonly number[]) {
  const right = [forwarded({ line: `${name} / HTTP/1.1` }), ...(statuses.length > 0 ? [refused(...statuses)] : [])];
  return [id, title, head(`${name} / HTTP/1.1`), { right }] as const;
}

export const requestLine: Topic = {
  name: 'request-line',
  title: 'Request line',
  cases: [
    ...cases({ source: 'RFC 9112 section 3.2.1', level: 'MUST', right: [] }, [
      same('target-path', 'a path', '/a/b'),
      same('target-query', 'a query', '/a?b=c&d'),
      same('target-empty-query', 'an empty query', '/a?'),
      same('target-slashes', 'two slashes at the begin', '//a//b'),
      same('target-dots', 'dot segments', '/a/../b/./c'),
      same('target-percent', 'percent-encoded bytes', '/%41%2f%c3%a9'),
      same('target-percent-nul', 'a percent-encoded NUL', '/%00'),
      same('target-percent-crlf', 'percent-encoded CR LF stay encoded', '/a%0d%0aX:%20y'),
      same('target-sub-delims', 'sub-delims, colon and at sign', "/!$&'()*+,;=:@"),
      same('target-semicolon', 'parameters of segments', '/a;b=1/c;d'),
      same('target-query-chars', 'a slash and a question mark in the query', '/?a/b?c'),
      same('target-url-in-query', 'a URL in the query', '/?u=http://b.test:81/x'),
      same('target-tilde', 'unreserved characters', '/~a-b_c.d'),
    ]),
    ...cases({ source: `${section3} (8000 octets)`, level: 'SHOULD', right: [] }, [
      same('target-8000', 'a request line of 8,000 bytes', `/${'a'.repeat(7986)}`),
    ]),
    ...cases({ source: `${section3} (414)`, level: 'MUST', right: [refused(414), forwarded()] }, [
      ['target-10000', 'a target of 10,000 bytes', get(`/${'a'.repeat(9999)}`)],
      ['target-60000', 'a target of 60,000 bytes', get(`/${'a'.repeat(59_999)}`)],
    ]),
    ...cases({ source: 'RFC 3986 section 2', level: 'robustness', right: [] }, [
      loose('target-bad-percent', 'a percent sign without digits', '/%zz'),
      loose('target-lone-percent', 'a percent sign at the end', '/100%'),
      loose('target-quote', 'a quotation mark', '/"a"'),
      loose('target-angles', 'angle brackets', '/<a>'),
      loose('target-backslash', 'a backslash', '/a\\b'),
      loose('target-braces', 'braces, caret, bar and backtick', '/{a}^|`'),
      loose('target-brackets', 'square brackets in the query', '/?a[]=1'),
      loose('target-non-ascii', 'UTF-8 as it is', '/\xc3\xa9'),
      loose('target-high-byte', 'the byte 0xff', '/\xff'),
    ]),
    ...cases({ source: section3, level: 'SHOULD', right: [refused(400), refused()] }, [
      ['target-nul', 'NUL in the target', get('/a\0b')],
      ['target-control', 'a control character in the target', get('/a\x01b')],
      ['target-del', 'DEL in the target', get('/a\x7fb')],
      ['target-vt', 'a vertical tab in the target', get('/a\vb')],
      ['target-blank', 'a blank in the target', get('/a b')],
      ['target-tab', 'a tab in the target', get('/a\tb')],
      ['target-no-slash', 'a target without a slash', get('a')],
      ['target-query-only', 'a target that is a query', get('?a')],
      ['target-authority', 'an authority without CONNECT', get('a.test:80')],
      ['target-asterisk-get', 'an asterisk without OPTIONS', get('*')],
      ['line-no-version', 'no version, with fields', `GET /${rest}`],
      ['line-no-target', 'no target', `GET HTTP/1.1${rest}`],
      ['line-empty-target', 'an empty target', `GET  HTTP/1.1${rest}`],
      ['line-only-method', 'a method alone', `GET${rest}`],
      ['line-garbage', 'garbage', `\x16\x03\x01\x02\r\n\r\n`],
      ['line-comma-method', 'a comma in the method', `G,ET / HTTP/1.1${rest}`],
      ['line-colon-method', 'a colon in the method', `GET: / HTTP/1.1${rest}`],
      ['line-slash-method', 'a slash in the method', `G/ET / HTTP/1.1${rest}`],
      ['line-nul-method', 'NUL in the method', `G\0ET / HTTP/1.1${rest}`],
      ['line-high-method', 'a byte above 0x7f in the method', `G\xc9T / HTTP/1.1${rest}`],
      ['line-quoted-method', 'a quoted method', `"GET" / HTTP/1.1${rest}`],
    ]),
    ...cases({ source: section3, level: 'SHOULD', right: [refused(400), refused(505), refused()] }, [
      ['version-lower', 'http/1.1 in lower case', `GET / http/1.1${rest}`],
      ['version-short', 'HTTP/1', `GET / HTTP/1${rest}`],
      ['version-no-minor', 'HTTP/1.', `GET / HTTP/1.${rest}`],
      ['version-long-minor', 'HTTP/1.10', `GET / HTTP/1.10${rest}`],
      ['version-long-major', 'HTTP/11.1', `GET / HTTP/11.1${rest}`],
      ['version-leading-zero', 'HTTP/01.1', `GET / HTTP/01.1${rest}`],
      ['version-letters', 'HTTP/x.y', `GET / HTTP/x.y${rest}`],
      ['version-comma', 'HTTP/1,1', `GET / HTTP/1,1${rest}`],
      ['version-name', 'HTTPS/1.1', `GET / HTTPS/1.1${rest}`],
      ['version-truncated-name', 'HTP/1.1', `GET / HTP/1.1${rest}`],
      ['version-blank-within', 'HTTP/ 1.1', `GET / HTTP/ 1.1${rest}`],
      ['version-blank-before', 'HTTP /1.1', `GET / HTTP /1.1${rest}`],
      ['version-suffix', 'HTTP/1.1x', `GET / HTTP/1.1x${rest}`],
      ['version-negative', 'HTTP/-1.1', `GET / HTTP/-1.1${rest}`],
      ['version-twice', 'two versions', `GET / HTTP/1.1 HTTP/1.1${rest}`],
    ]),
    ...cases({ source: 'RFC 9110 section 15.6.6', level: 'SHOULD', right: [refused(505), refused(400), refused()] }, [
      ['version-0-9', 'HTTP/0.9', `GET / HTTP/0.9${rest}`],
      ['version-2-0', 'HTTP/2.0 in the form of HTTP/1', `GET / HTTP/2.0${rest}`],
      ['version-3-0', 'HTTP/3.0 in the form of HTTP/1', `GET / HTTP/3.0${rest}`],
      ['version-9-9', 'HTTP/9.9', `GET / HTTP/9.9${rest}`],
    ]),
    ...cases({ source: 'RFC 9110 section 2.5', level: 'SHOULD', right: [forwarded({ line: 'GET / HTTP/1.1' })] }, [
      ['version-1-2', 'HTTP/1.2 is processed as HTTP/1.1', `GET / HTTP/1.2${rest}`],
      ['version-1-9', 'HTTP/1.9 is processed as HTTP/1.1', `GET / HTTP/1.9${rest}`],
    ]),
    ...cases({ source: section3, level: 'robustness', right: [refused(400), forwarded({ line: 'GET / HTTP/1.1' })] }, [
      ['line-two-blanks', 'two blanks before the target', `GET  / HTTP/1.1${rest}`],
      ['line-two-blanks-after', 'two blanks behind the target', `GET /  HTTP/1.1${rest}`],
      ['line-tab', 'a tab before the target', `GET\t/ HTTP/1.1${rest}`],
      ['line-tab-after', 'a tab behind the target', `GET /\tHTTP/1.1${rest}`],
      ['line-trailing-blank', 'a blank at the end', `GET / HTTP/1.1 ${rest}`],
      ['line-leading-blank', 'a blank at the begin', ` GET / HTTP/1.1${rest}`],
      ['line-form-feed', 'a form feed before the target', `GET\f/ HTTP/1.1${rest}`],
    ]),
    ...cases({ source: 'RFC 9112 section 2.2', level: 'robustness', right: [refused(400), forwarded()] }, [
      ['line-bare-lf', 'LF alone behind the request line', 'GET / HTTP/1.1\nHost: a.test\r\n\r\n'],
      ['lines-bare-lf', 'LF alone behind every line', 'GET / HTTP/1.1\nHost: a.test\n\n'],
      ['line-leading-lf', 'LF before the request line', `\n${get('/')}`],
      ['line-leading-crlfs', 'several empty lines before the request line', `\r\n\r\n\r\n${get('/')}`],
    ]),
    ...cases({ source: 'RFC 9112 section 2.2', level: 'MUST', right: [refused(400), refused()] }, [
      ['line-bare-cr', 'CR alone behind the request line', 'GET / HTTP/1.1\rHost: a.test\r\n\r\n'],
      ['line-cr-cr-lf', 'CR CR LF behind the request line', `GET / HTTP/1.1\r${rest}`],
      ['line-cr-in-target', 'CR in the target', get('/a\rb')],
      ['line-leading-cr', 'CR before the request line', `\r${get('/')}`],
      [
        'line-blank-first-field',
        'a blank between request line and first field',
        'GET / HTTP/1.1\r\n Host: a.test\r\n\r\n',
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 2.2', level: 'SHOULD', right: [forwarded({ line: 'GET / HTTP/1.1' })] }, [
      ['line-leading-crlf', 'one empty line before the request line is ignored', `\r\n${get('/')}`],
    ]),
    ...cases({ source: 'RFC 9110 section 9.1', level: 'MUST', right: [] }, [
      method('method-unknown', 'an unknown method', 'FOO', 501),
      method('method-lower', 'a method in lower case is another one', 'get', 400, 405, 501),
      method('method-mixed', 'a method in mixed case is another one', 'Get', 400, 405, 501),
      method('method-symbols', 'all characters of a token', "A!#$%&'*+.^_`|~-9", 501),
      method('method-digit', 'a digit', '1', 501),
      method('method-dash', 'VERSION-CONTROL (RFC 3253)', 'VERSION-CONTROL'),
      method('method-long', 'a method of 64 characters', 'M'.repeat(64), 501),
      method('method-put', 'PUT without a body', 'PUT'),
      method('method-patch', 'PATCH without a body', 'PATCH'),
      method('method-propfind', 'PROPFIND', 'PROPFIND'),
      method('method-query', 'QUERY', 'QUERY'),
    ]),
  ],
};
