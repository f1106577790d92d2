import {
  answer,
  type BackendReply,
  bare,
  cases,
  chunked,
  forwarded,
  get,
  head,
  ok,
  passes,
  post,
  replaced,
  responses,
  type Topic,
} from '../case.ts';

const big = 'b'.repeat(100_000);
const bigPost = `${post('Content-Length: 100000')}${big}`;
const hello = '5\r\nhello\r\n0\r\n\r\n';
const split = (end: string): BackendReply => ({ end, isSplit: true });
/** Closed without a response. */
const gone: BackendReply = { after: 'close' };
const reset: BackendReply = { after: 'reset' };

export const exchanges: Topic = {
  name: 'exchanges',
  title: 'Retries, early responses and pieces',
  cases: [
    ...cases({ source: 'RFC 9110 section 9.2.2', level: 'MUST', right: [replaced(502)] }, [
      [
        'retry-post',
        'POST is not sent again if the backend closes without a response',
        `${post('Content-Length: 5')}hello`,
        { replies: [gone, ok('again')] },
      ],
      [
        'retry-post-reset',
        'nor if it resets the connection',
        `${post('Content-Length: 5')}hello`,
        { replies: [reset, ok('again')] },
      ],
      ['retry-post-empty', 'nor without a body', post('Content-Length: 0'), { replies: [gone, ok('again')] }],
      ['retry-patch', 'nor is PATCH', head('PATCH / HTTP/1.1', 'Content-Length: 0'), { replies: [gone, ok('again')] }],
      ['retry-unknown', 'nor an unknown method', head('FOO / HTTP/1.1'), { replies: [gone, ok('again')] }],
      [
        'retry-half',
        'nor GET, once a part of a response has come',
        get('/'),
        {
          replies: [{ end: 'HTTP/1.1 200 OK\r\n', after: 'close' }, ok('again')],
          right: [replaced(502), passes({ end: 'cut off' })],
          level: 'SHOULD',
        },
      ],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 9.2.2',
        level: 'MUST',
        answers: 2,
        right: [forwarded({ requests: 2, lastLine: 'POST /post HTTP/1.1' })],
      },
      [
        [
          'retry-post-kept',
          'POST is not sent again if a kept connection closes under it',
          `${get('/1')}${post('Content-Length: 5')}hello`,
          { replies: [ok('one'), gone, ok('again')] },
        ],
      ],
    ),
    ...cases(
      {
        source: 'RFC 9112 section 9.3.1',
        level: 'MAY',
        answers: 2,
        right: [
          forwarded({ requests: 3, lastLine: 'GET /2 HTTP/1.1' }),
          forwarded({ requests: 2, as: 'not sent again' }),
        ],
      },
      [
        [
          'retry-get-kept',
          'GET is sent again if a kept connection closes under it',
          get('/1') + get('/2'),
          { replies: [ok('one'), gone, ok('again')] },
        ],
        [
          'retry-put-kept',
          'so is PUT with its body',
          `${get('/1')}${head('PUT /2 HTTP/1.1', 'Content-Length: 5')}hello`,
          {
            replies: [ok('one'), gone, ok('again')],
            right: [
              forwarded({ requests: 3, lastLine: 'PUT /2 HTTP/1.1' }),
              forwarded({ requests: 2, as: 'not sent again' }),
            ],
          },
        ],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 9.5', level: 'MUST', right: [passes({ status: 413, body: 'no' })] }, [
      [
        'early-413',
        'a 413 before the body has been read reaches the client',
        bigPost,
        { replies: [{ head: answer('413 Content Too Large', 'no'), end: '' }] },
      ],
      [
        'early-413-chunked',
        'also to a chunked body',
        chunked(`186a0\r\n${big}\r\n0\r\n\r\n`),
        { replies: [{ head: answer('413 Content Too Large', 'no'), end: '' }] },
      ],
      [
        'early-401',
        'a 401 before the body has been read',
        bigPost,
        {
          replies: [{ head: answer('401 Unauthorized', 'no', 'WWW-Authenticate: Basic realm="x"'), end: '' }],
          right: [passes({ status: 401, body: 'no' })],
        },
      ],
      [
        'early-200',
        'a 200 before the body has been read',
        bigPost,
        { replies: [{ head: ok('yes'), end: '' }], right: [passes({ status: 200, body: 'yes' })] },
      ],
    ]),
    ...cases({ source: 'CVE-2025-4366 (Pingora)', level: 'security', right: [forwarded({ requests: 1 })] }, [
      [
        'early-hidden',
        'a body that looks like a request, behind an early response, is no request',
        `${post(`Content-Length: ${get('/smuggled').length}`)}${get('/smuggled')}`,
        { replies: [{ head: ok('yes'), end: '' }] },
      ],
      [
        'early-hidden-get',
        'also the body of a GET',
        `${get('/', `Content-Length: ${get('/smuggled').length}`)}${get('/smuggled')}`,
        { replies: [{ head: ok('yes'), end: '' }] },
      ],
    ]),
    ...responses(
      { source: 'RFC 9112 section 2.2', level: 'MUST', right: [passes({ body: 'hello', fields: { 'x-a': 'b' } })] },
      [
        ['split-length', 'a response with a length, byte by byte', split(answer('200 OK', 'hello', 'X-A: b'))],
        [
          'split-chunked',
          'a response in chunks, byte by byte',
          split(
            bare(
              '2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: t\r\n\r\n',
              'HTTP/1.1 200 OK',
              'X-A: b',
              'Transfer-Encoding: chunked',
            ),
          ),
        ],
        [
          'split-informational',
          'a 103 and a response, byte by byte',
          split(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${answer('200 OK', 'hello', 'X-A: b')}`),
          { right: [passes({ informational: [103], body: 'hello', fields: { 'x-a': 'b' } })] },
        ],
        [
          'split-204',
          'a 204, byte by byte',
          split('HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n'),
          { right: [passes({ status: 204, body: '', fields: { 'x-a': 'b' } })] },
        ],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 9.3', level: 'MUST', right: [] }, [
      [
        '1-0-close-delimited',
        'HTTP/1.0 with keep-alive and a response without a length: the connection ends',
        head('GET / HTTP/1.0', 'Connection: keep-alive'),
        {
          replies: [{ end: bare('hello', 'HTTP/1.1 200 OK'), after: 'close' }],
          right: [passes({ body: 'hello', connection: 'closed' })],
        },
      ],
      [
        '1-0-head',
        'HEAD of HTTP/1.0 with keep-alive',
        head('HEAD / HTTP/1.0', 'Connection: keep-alive'),
        {
          replies: ['HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'],
          right: [passes({ body: '', fields: { 'content-length': '77' } })],
        },
      ],
      [
        '1-0-304',
        '304 to HTTP/1.0',
        head('GET / HTTP/1.0'),
        {
          replies: ['HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'],
          right: [passes({ status: 304, body: '', connection: 'closed' })],
        },
      ],
      [
        '1-0-cookies',
        'lines of Set-Cookie to HTTP/1.0',
        head('GET / HTTP/1.0'),
        {
          replies: [ok('ok', 'Set-Cookie: a=b', 'Set-Cookie: c=d')],
          right: [passes({ fields: { 'set-cookie': ['a=b', 'c=d'] }, connection: 'closed' })],
        },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 9.3.2', level: 'MUST', right: [] }, [
      [
        'pipeline-100',
        '100 requests at once',
        get('/').repeat(100),
        { answers: 100, right: [forwarded({ response: { connection: 'kept' } })] },
      ],
      [
        'pipeline-mixed',
        'requests with every kind of body at once',
        `${chunked(hello)}${post('Content-Length: 5')}hello${get('/3')}${head('DELETE /4 HTTP/1.1')}`,
        {
          answers: 4,
          right: [forwarded({ body: 'hello', lastLine: 'DELETE /4 HTTP/1.1', response: { connection: 'kept' } })],
        },
      ],
      [
        'pipeline-mixed-responses',
        'responses with every kind of framing in order',
        get('/1') + get('/2') + get('/3') + get('/4'),
        {
          answers: 4,
          replies: [
            bare(hello, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'),
            'HTTP/1.1 204 No Content\r\n\r\n',
            ok(''),
            ok('four'),
          ],
          right: [
            forwarded({
              lastLine: 'GET /4 HTTP/1.1',
              response: { body: 'hello', lastBody: 'four', connection: 'kept' },
            }),
          ],
        },
      ],
      [
        'pipeline-backend-closes',
        'requests behind a response whose backend closes',
        get('/1') + get('/2'),
        {
          answers: 2,
          replies: [{ end: ok('one', 'Connection: close'), after: 'close' }, ok('two')],
          right: [forwarded({ lastLine: 'GET /2 HTTP/1.1', response: { body: 'one', lastBody: 'two' } })],
        },
      ],
      [
        'pipeline-error',
        'a request behind one whose backend fails',
        `${post('Content-Length: 0')}${get('/2')}`,
        { answers: 2, replies: [gone, ok('two')], right: [replaced(502)] },
      ],
    ]),
    ...responses({ source: 'RFC 9110 section 6.5.1', level: 'MUST', right: [] }, [
      ...['Content-Length: 99', 'Set-Cookie: a=b', 'Content-Type: a/b', 'Location: /x'].map((line) => {
        const name = line.slice(0, line.indexOf(':')).toLowerCase();
        const reply = bare(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked');
        return [
          `response-trailer-${name}`,
          `${line.slice(0, line.indexOf(':'))} in a trailer of a response is not merged with the head`,
          reply,
          { right: [passes({ body: 'hello', fields: { [name]: null } })] },
        ] as const;
      }),
    ]),
    ...responses(
      {
        source: 'RFC 9112 section 7.1.1',
        level: 'security',
        right: [passes({ body: 'hello' }), replaced(502), passes({ end: 'cut off' })],
      },
      [
        [
          'response-extension-20000',
          'an extension of 20,000 bytes in a response',
          bare(`5;a=${'b'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`, 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'),
          {
            source: 'CVE-2023-39326 (Go)',
            right: [passes({ body: 'hello' }), replaced(502), replaced(), passes({ end: 'cut off' })],
          },
        ],
        [
          'response-lengths-blank',
          'a second Content-Length with a blank before its colon',
          bare('hello', 'HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length : 6'),
          { right: [replaced(502)] },
        ],
        [
          'response-surplus-close',
          'bytes behind the length, with close',
          { end: `${answer('200 OK', 'hello', 'Connection: close')}poison`, after: 'close' },
        ],
        [
          'response-length-case',
          'two lengths in different case',
          { end: bare('hello', 'HTTP/1.1 200 OK', 'Content-Length: 5', 'content-length: 6'), after: 'close' },
          { right: [replaced(502)] },
        ],
      ],
    ),
  ],
};
