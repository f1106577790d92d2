import { answer, type BackendReply, passes, replaced, responses, type Topic } from '../case.ts';

const closing = (end: string): BackendReply => ({ end, after: 'close' });
const end = '\r\nContent-Length: 2\r\n\r\nok';

const mixed = 'LF among lines that end with CR LF has two readings. Heads that have LF throughout are read';

/** A status that passes with its body. */
function status(code: number, reason: string, more: readonly string[] = []) {
  return [
    `status-${code}`,
    `${code}`,
    answer(`${code} ${reason}`, 'ok', ...more),
    { right: [passes({ status: code, body: 'ok' })] },
  ] as const;
}

const unknown = (code: number) =>
  [
    `status-${code}`,
    `${code}, which is not registered`,
    answer(`${code} X`, 'ok'),
    { right: [passes({ status: code, body: 'ok', line: /^HTTP\/1\.1 / })] },
  ] as const;

export const statusLines: Topic = {
  name: 'status-lines',
  title: 'Status lines of responses',
  cases: [
    ...responses({ source: 'RFC 9110 section 15', level: 'MUST', right: [] }, [
      status(200, 'OK'),
      status(201, 'Created', ['Location: /x']),
      status(206, 'Partial Content', ['Content-Range: bytes 0-1/9']),
      status(301, 'Moved Permanently', ['Location: http://b.test/']),
      status(400, 'Bad Request'),
      status(401, 'Unauthorized', ['WWW-Authenticate: Basic realm="x"']),
      status(404, 'Not Found'),
      status(408, 'Request Timeout', ['Connection: close']),
      status(418, 'Unused'),
      status(426, 'Upgrade Required', ['Upgrade: foo', 'Connection: Upgrade']),
      status(500, 'Internal Server Error'),
      status(502, 'Bad Gateway'),
      status(503, 'Service Unavailable', ['Retry-After: 5']),
      unknown(299),
      unknown(399),
      unknown(499),
      unknown(599),
    ]),
    ...responses({ source: 'RFC 9112 section 4', level: 'MUST', right: [passes({ status: 200, body: 'ok' })] }, [
      ['reason-empty', 'an empty reason', `HTTP/1.1 200 ${end}`],
      ['reason-other', 'another reason', `HTTP/1.1 200 Fine, thanks${end}`],
      ['reason-high', 'bytes above 0x7f in the reason', `HTTP/1.1 200 \xc3\xa9${end}`],
      ['reason-tab', 'a tab in the reason', `HTTP/1.1 200 a\tb${end}`],
      ['reason-long', 'a reason of 1,000 bytes', `HTTP/1.1 200 ${'r'.repeat(1000)}${end}`],
      ['reason-digits', 'a reason that begins with digits', `HTTP/1.1 200 404 Not Found${end}`],
    ]),
    ...responses(
      { source: 'RFC 9110 section 2.5', level: 'MUST', right: [passes({ line: /^HTTP\/1\.1 200/, body: 'ok' })] },
      [
        [
          'response-1-0',
          'HTTP/1.0 is sent in the version of the proxy',
          `HTTP/1.0 200 OK${end}`,
          { right: [passes({ line: /^HTTP\/1\.1 200/, body: 'ok' }), passes({ body: 'ok' }, 'as 1.0')] },
        ],
        [
          'response-1-2',
          'HTTP/1.2 is processed as HTTP/1.1',
          `HTTP/1.2 200 OK${end}`,
          { level: 'SHOULD', right: [passes({ line: /^HTTP\/1\.1 200/, body: 'ok' }), replaced(502)] },
        ],
      ],
    ),
    ...responses(
      {
        source: 'RFC 9112 section 4',
        level: 'robustness',
        right: [passes({ status: 200, body: 'ok', line: /^HTTP\/1\.[01] 200 / }), replaced(502)],
      },
      [
        ['status-no-blank', 'no blank behind the status', closing(`HTTP/1.1 200${end}`)],
        ['status-two-blanks', 'two blanks before the status', closing(`HTTP/1.1  200 OK${end}`)],
        ['status-tab', 'a tab before the status', closing(`HTTP/1.1\t200 OK${end}`)],
        [
          'status-lf',
          'LF alone behind the status line',
          closing(`HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok`),
          { reason: mixed },
        ],
        ['status-leading-crlf', 'an empty line before the status line', closing(`\r\nHTTP/1.1 200 OK${end}`)],
        ['status-leading-lf', 'LF before the status line', closing(`\nHTTP/1.1 200 OK${end}`)],
        ['status-leading-blank', 'a blank before the status line', closing(` HTTP/1.1 200 OK${end}`)],
      ],
    ),
    ...responses({ source: 'RFC 9112 section 4', level: 'robustness', right: [replaced(502)] }, [
      ['status-missing', 'no status', closing(`HTTP/1.1 OK${end}`)],
      ['status-two-digits', 'a status of two digits', closing(`HTTP/1.1 20 OK${end}`)],
      ['status-four-digits', 'a status of four digits', closing(`HTTP/1.1 2000 OK${end}`)],
      ['status-letters', 'a status with a letter', closing(`HTTP/1.1 20x OK${end}`)],
      ['status-sign', 'a status with a sign', closing(`HTTP/1.1 +200 OK${end}`)],
      ['status-negative', 'a negative status', closing(`HTTP/1.1 -200 OK${end}`)],
      ['status-fraction', 'a status with a fraction', closing(`HTTP/1.1 200.1 OK${end}`)],
      ['status-version-lower', 'http/1.1 in lower case', closing(`http/1.1 200 OK${end}`)],
      ['status-version-2', 'HTTP/2.0', closing(`HTTP/2.0 200 OK${end}`)],
      ['status-version-2-short', 'HTTP/2', closing(`HTTP/2 200 OK${end}`)],
      ['status-version-0-9', 'HTTP/0.9', closing(`HTTP/0.9 200 OK${end}`)],
      ['status-version-1', 'HTTP/1', closing(`HTTP/1 200 OK${end}`)],
      ['status-version-1-10', 'HTTP/1.10', closing(`HTTP/1.10 200 OK${end}`)],
      [
        'status-other-protocol',
        'another protocol',
        'SSH-2.0-OpenSSH_9.2\r\n\r\n',
        { replies: [{ end: 'SSH-2.0-OpenSSH_9.2\r\n\r\n', after: 'close' }] },
      ],
      ['status-icy', 'ICY 200 OK', { end: `ICY 200 OK${end}`, after: 'close' }],
      ['status-no-head', 'a body without a head', { end: '<p>hello</p>', after: 'close' }],
      ['status-bare-cr', 'CR in the reason', closing(`HTTP/1.1 200 O\rK${end}`)],
      ['status-nul', 'NUL in the reason', closing(`HTTP/1.1 200 O\0K${end}`)],
      ['status-reason-lf', 'LF in the reason', closing(`HTTP/1.1 200 O\nK${end}`)],
    ]),
    ...responses(
      { source: 'RFC 9110 section 15', level: 'robustness', right: [replaced(502), passes({ body: 'ok' }, 'kept')] },
      [
        ['status-000', '000', closing(`HTTP/1.1 000 X${end}`)],
        ['status-099', '099', closing(`HTTP/1.1 099 X${end}`)],
        ['status-600', '600', closing(`HTTP/1.1 600 X${end}`)],
        ['status-999', '999', closing(`HTTP/1.1 999 X${end}`)],
      ],
    ),
    ...responses({ source: 'RFC 9110 section 15.6.3', level: 'SHOULD', right: [replaced(502)] }, [
      ['no-response', 'the backend closes without a response', { after: 'close' }],
      ['no-response-reset', 'the backend resets the connection', { after: 'reset' }],
      ['half-status-line', 'the backend closes within the status line', { end: 'HTTP/1.1 20', after: 'close' }],
      ['half-head', 'the backend closes within the head', { end: 'HTTP/1.1 200 OK\r\nContent-', after: 'close' }],
      [
        'head-without-end',
        'the backend closes before the empty line',
        { end: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n', after: 'close' },
      ],
    ]),
  ],
};
