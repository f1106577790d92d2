import { bare, cases, forwarded, get, head, ok, passes, post, refused, type Topic } from '../case.ts';

const old = (start: string, ...lines: readonly string[]): string => head(`${start} HTTP/1.0`, ...lines);
const chunkedReply = bare('5\r\nhello\r\n0\r\n\r\n', 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked');
const closes = passes({ body: 'ok', connection: 'closed' });

export const methods: Topic = {
  name: 'methods',
  title: 'Methods, HTTP/1.0 and pipelining',
  cases: [
    ...cases({ source: 'RFC 9110 section 7.6.2', level: 'MUST', right: [refused(200, 204, 400, 405, 501)] }, [
      [
        'max-forwards-options-0',
        'OPTIONS with Max-Forwards: 0 goes no further',
        head('OPTIONS / HTTP/1.1', 'Max-Forwards: 0'),
      ],
      ['max-forwards-options-00', 'OPTIONS with Max-Forwards: 00', head('OPTIONS / HTTP/1.1', 'Max-Forwards: 00')],
      ['max-forwards-options-star', 'OPTIONS * with Max-Forwards: 0', head('OPTIONS * HTTP/1.1', 'Max-Forwards: 0')],
      [
        'max-forwards-trace-0',
        'TRACE with Max-Forwards: 0 goes no further',
        head('TRACE / HTTP/1.1', 'Max-Forwards: 0'),
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 7.6.2', level: 'MUST', right: [] }, [
      [
        'max-forwards-options',
        'OPTIONS: Max-Forwards is decremented',
        head('OPTIONS / HTTP/1.1', 'Max-Forwards: 5'),
        { right: [forwarded({ fields: { 'max-forwards': '4' } })] },
      ],
      [
        'max-forwards-trace',
        'TRACE: Max-Forwards is decremented',
        head('TRACE / HTTP/1.1', 'Max-Forwards: 5'),
        { right: [forwarded({ fields: { 'max-forwards': '4' } }), refused(405, 501, 400)] },
      ],
      [
        'max-forwards-options-1',
        'OPTIONS: 1 becomes 0',
        head('OPTIONS / HTTP/1.1', 'Max-Forwards: 1'),
        { right: [forwarded({ fields: { 'max-forwards': '0' } })] },
      ],
      [
        'max-forwards-get',
        'GET: Max-Forwards is ignored',
        get('/', 'Max-Forwards: 0'),
        { level: 'MAY', right: [forwarded()] },
      ],
      [
        'max-forwards-bad',
        'OPTIONS with a Max-Forwards that is no number',
        head('OPTIONS / HTTP/1.1', 'Max-Forwards: x'),
        { level: 'robustness', right: [forwarded(), refused(400)] },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 9.3.8',
        level: 'MAY',
        right: [forwarded({ line: 'TRACE / HTTP/1.1' }), refused(405, 501, 400)],
      },
      [['trace', 'TRACE', head('TRACE / HTTP/1.1')]],
    ),
    ...cases({ source: 'RFC 9110 section 9.3.2', level: 'MUST', right: [] }, [
      [
        'head',
        'the response to HEAD has no body; its length is kept',
        head('HEAD / HTTP/1.1'),
        {
          replies: ['HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'],
          right: [passes({ body: '', fields: { 'content-length': '77' }, connection: 'kept' })],
        },
      ],
      [
        'head-no-length',
        'the response to HEAD without a length',
        head('HEAD / HTTP/1.1'),
        { replies: ['HTTP/1.1 200 OK\r\n\r\n'], right: [passes({ body: '' })] },
      ],
      [
        'head-chunked',
        'the response to HEAD with a coding',
        head('HEAD / HTTP/1.1'),
        { replies: ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'], right: [passes({ body: '' })] },
      ],
      [
        'head-404',
        'a 404 to HEAD',
        head('HEAD / HTTP/1.1'),
        {
          replies: ['HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n'],
          right: [passes({ status: 404, body: '' })],
        },
      ],
      [
        'head-then-get',
        'HEAD, then GET',
        `${head('HEAD / HTTP/1.1')}${get('/next')}`,
        {
          answers: 2,
          replies: ['HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n', ok('two')],
          right: [forwarded({ lastLine: 'GET /next HTTP/1.1' })],
        },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 2.5',
        level: 'MUST',
        right: [forwarded({ line: 'GET / HTTP/1.1' }), forwarded({ as: 'as 1.0', line: 'GET / HTTP/1.0' })],
      },
      [['1-0-version', 'a request of HTTP/1.0 is sent in the version of the proxy', old('GET /')]],
    ),
    ...cases({ source: 'RFC 9112 section 9.3', level: 'MUST', right: [closes] }, [
      ['1-0-closes', 'HTTP/1.0 without keep-alive: the connection ends', old('GET /')],
      ['1-0-close', 'HTTP/1.0 with close', old('GET /', 'Connection: close')],
      ['1-0-post', 'POST of HTTP/1.0', `${old('POST /', 'Content-Length: 5')}hello`],
    ]),
    ...cases(
      {
        source: 'RFC 9112 section 9.3',
        level: 'MAY',
        right: [passes({ connection: 'kept', fields: { connection: /keep-alive/i } }), closes],
      },
      [
        ['1-0-keep-alive', 'HTTP/1.0 with keep-alive', old('GET /', 'Connection: keep-alive')],
        ['1-0-keep-alive-case', 'HTTP/1.0 with Keep-Alive in upper case', old('GET /', 'Connection: KEEP-ALIVE')],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 6.1',
        level: 'MUST',
        replies: [chunkedReply],
        right: [passes({ body: 'hello', fields: { 'transfer-encoding': null } })],
      },
      [
        ['1-0-chunked', 'a chunked response is not sent to HTTP/1.0 as such', old('GET /')],
        ['1-0-chunked-kept', 'nor with keep-alive', old('GET /', 'Connection: keep-alive')],
      ],
    ),
    ...cases({ source: 'RFC 9110 section 15.2', level: 'MUST', right: [passes({ informational: [], body: 'ok' })] }, [
      ['1-0-103', 'no 103 for HTTP/1.0', old('GET /'), { replies: [`HTTP/1.1 103 Early Hints\r\n\r\n${ok()}`] }],
      ['1-0-100', 'no 100 for HTTP/1.0', old('GET /'), { replies: [`HTTP/1.1 100 Continue\r\n\r\n${ok()}`] }],
    ]),
    ...cases({ source: 'RFC 9112 section 9.3.2', level: 'MUST', right: [] }, [
      [
        'pipeline',
        'two requests at once: responses in order',
        get('/1') + get('/2'),
        {
          answers: 2,
          replies: [ok('one'), ok('two')],
          right: [
            forwarded({
              line: 'GET /1 HTTP/1.1',
              lastLine: 'GET /2 HTTP/1.1',
              response: { body: 'one', lastBody: 'two', connection: 'kept' },
            }),
          ],
        },
      ],
      [
        'pipeline-10',
        'ten requests at once',
        get('/1').repeat(9) + get('/10'),
        { answers: 10, right: [forwarded({ lastLine: 'GET /10 HTTP/1.1', response: { connection: 'kept' } })] },
      ],
      [
        'pipeline-post',
        'POST, then GET',
        `${post('Content-Length: 5')}hello${get('/2')}`,
        {
          answers: 2,
          right: [forwarded({ body: 'hello', lastLine: 'GET /2 HTTP/1.1', response: { connection: 'kept' } })],
        },
      ],
      [
        'pipeline-get-body',
        'GET with a body, then GET',
        `${get('/1', 'Content-Length: 5')}hello${get('/2')}`,
        { answers: 2, right: [forwarded({ body: 'hello', lastLine: 'GET /2 HTTP/1.1' })] },
      ],
      [
        'pipeline-split',
        'two requests that arrive in pieces',
        [get('/1').slice(0, 9), get('/1').slice(9) + get('/2').slice(0, 20), get('/2').slice(20)],
        { answers: 2, right: [forwarded({ lastLine: 'GET /2 HTTP/1.1' })] },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9112 section 9.6',
        level: 'MUST',
        right: [forwarded({ requests: 1, response: { connection: 'closed' } })],
      },
      [
        ['pipeline-close', 'no request behind close is processed', get('/1', 'Connection: close') + get('/2')],
        [
          'pipeline-1-0',
          'nor behind HTTP/1.0 without keep-alive',
          old('GET /1') + get('/2'),
          { source: 'RFC 9112 section 9.3' },
        ],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 2.2',
        level: 'SHOULD',
        answers: 2,
        right: [forwarded({ lastLine: 'GET /2 HTTP/1.1' })],
      },
      [
        ['pipeline-crlf', 'an empty line between two requests is ignored', `${get('/1')}\r\n${get('/2')}`],
        [
          'pipeline-crlf-body',
          'an empty line behind a body is ignored',
          `${post('Content-Length: 5')}hello\r\n${get('/2')}`,
        ],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 11.2', level: 'security', right: [forwarded({ requests: 1 }), refused()] }, [
      [
        'pipeline-bad',
        'an invalid request behind a valid one ends the connection',
        `${get('/1')}GET /2 HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n${get('/3')}`,
        { answers: 2 },
      ],
      [
        'pipeline-bad-first',
        'no request behind one with two lengths',
        `${post('Content-Length: 1', 'Content-Length: 5')}hello${get('/2')}`,
        { answers: 2, right: [refused(400)] },
      ],
      [
        'pipeline-bad-coding',
        'no request behind one with an unknown coding',
        `${post('Transfer-Encoding: xchunked')}0\r\n\r\n${get('/2')}`,
        { answers: 2, right: [refused(400, 501)] },
      ],
      [
        'pipeline-bad-version',
        'no request behind HTTP/2.0',
        `GET / HTTP/2.0\r\nHost: a.test\r\n\r\n${get('/2')}`,
        { answers: 2, right: [refused()] },
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 9.3.8', level: 'robustness', right: [forwarded(), refused(400, 405, 501)] }, [
      ['trace-body', 'TRACE with a body', `${head('TRACE / HTTP/1.1', 'Content-Length: 5')}hello`],
      ['trace-cookie', 'TRACE with a cookie', head('TRACE / HTTP/1.1', 'Cookie: a=b')],
    ]),
    ...cases({ source: 'RFC 9112 section 9.3', level: 'MUST', right: [] }, [
      [
        'close-body',
        'close with a body',
        `${post('Connection: close', 'Content-Length: 5')}hello`,
        { right: [forwarded({ body: 'hello', response: { connection: 'closed' } })] },
      ],
      [
        'close-chunked',
        'close with a chunked body',
        `${post('Connection: close', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
        { right: [forwarded({ body: 'hello', response: { connection: 'closed' } })] },
      ],
      [
        'close-head',
        'HEAD with close',
        head('HEAD / HTTP/1.1', 'Connection: close'),
        {
          replies: ['HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'],
          right: [passes({ body: '', fields: { 'content-length': '77' }, connection: 'closed' })],
        },
      ],
      [
        '1-0-absolute',
        'HTTP/1.0 with a target in absolute-form',
        'GET http://a.test/x HTTP/1.0\r\nHost: a.test\r\n\r\n',
        { right: [forwarded({ line: /^GET \/x HTTP\/1\.[01]$/, response: { connection: 'closed' } })] },
      ],
      [
        '1-0-pipeline',
        'two requests of HTTP/1.0 with keep-alive',
        old('GET /1', 'Connection: keep-alive') + old('GET /2'),
        {
          level: 'MAY',
          answers: 2,
          right: [
            forwarded({ requests: 2, lastLine: /^GET \/2 /, response: { body: 'ok' } }),
            forwarded({ requests: 1, as: 'the second not' }),
          ],
        },
      ],
      [
        '1-0-mixed',
        'HTTP/1.0 behind HTTP/1.1',
        get('/1') + old('GET /2'),
        { answers: 2, right: [forwarded({ lastLine: /^GET \/2 /, response: { connection: 'closed' } })] },
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 9.3.6', level: 'security', right: [refused(405, 501, 400), refused()] }, [
      ['connect-1-0', 'CONNECT of HTTP/1.0', 'CONNECT a.test:80 HTTP/1.0\r\n\r\n'],
      [
        'connect-pipelined',
        'a request behind CONNECT',
        `CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n${get('/smuggled')}`,
      ],
      [
        'connect-lower',
        'connect in lower case is another method',
        head('connect / HTTP/1.1'),
        {
          level: 'MUST',
          source: 'RFC 9110 section 9.1',
          right: [forwarded({ line: 'connect / HTTP/1.1' }), refused(400, 405, 501)],
        },
      ],
    ]),
  ],
};
