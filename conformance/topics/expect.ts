import { answer, cases, forwarded, get, head, ok, post, refused, type Topic } from '../case.ts';

const section = 'RFC 9110 section 10.1.1';
const put = (...lines: readonly string[]): string => head('PUT / HTTP/1.1', ...lines, 'Content-Length: 5');
const waits = [{ continues: true, end: ok() }];
const relayed = forwarded({ body: 'hello', fields: { expect: /100-continue/i }, response: { informational: [100] } });
/** The client gets no 100 of the backend, since it does not wait any more. */
const sent = forwarded({ body: 'hello' });

export const expect: Topic = {
  name: 'expect',
  title: 'Expect',
  cases: [
    ...cases({ source: section, level: 'MUST', replies: waits, right: [relayed] }, [
      [
        'expect',
        'the backend is asked, and its 100 relayed',
        [put('Expect: 100-continue'), { bodyUnlessFinal: 'hello' }],
      ],
      ['expect-case', '100-Continue in other case', [put('Expect: 100-Continue'), { bodyUnlessFinal: 'hello' }]],
      [
        'expect-chunked',
        'with a chunked body',
        [post('Expect: 100-continue', 'Transfer-Encoding: chunked'), { bodyUnlessFinal: '5\r\nhello\r\n0\r\n\r\n' }],
      ],
    ]),
    ...cases({ source: section, level: 'MUST', replies: waits, right: [sent] }, [
      ['expect-impatient', 'a client that does not wait', `${put('Expect: 100-continue')}hello`],
      [
        'expect-list',
        'a list of 100-continue twice',
        `${put('Expect: 100-continue, 100-continue')}hello`,
        { source: 'RFC 9110 section 5.6.1' },
      ],
      [
        'expect-empty-members',
        'empty members around it',
        `${put('Expect: ,100-continue,')}hello`,
        { source: 'RFC 9110 section 5.6.1' },
      ],
      [
        'expect-lines',
        'two lines',
        `${put('Expect: 100-continue', 'Expect: 100-continue')}hello`,
        { source: 'RFC 9110 section 5.3' },
      ],
    ]),
    ...cases({ source: section, level: 'MUST', right: [] }, [
      [
        'expect-413',
        'a backend that refuses at once: its response is relayed without a 100',
        [put('Expect: 100-continue'), { bodyUnlessFinal: 'hello' }],
        {
          replies: [{ head: answer('413 Content Too Large', 'no', 'Connection: close') }],
          right: [forwarded({ response: { status: 413, informational: [] } })],
        },
      ],
      [
        'expect-200-at-once',
        'a backend that responds at once with 200: the rest is not taken for a request (CVE-2025-4366)',
        [put('Expect: 100-continue'), { untilFinal: true }, get('/smuggled').slice(0, 5)],
        {
          source: 'CVE-2025-4366 (Pingora)',
          level: 'security',
          replies: [{ head: ok() }],
          right: [forwarded({ requests: 1, response: { status: 200 } })],
        },
      ],
      [
        'expect-417',
        'a 417 of the backend is relayed',
        [put('Expect: 100-continue'), { bodyUnlessFinal: 'hello' }],
        {
          replies: [{ head: answer('417 Expectation Failed', 'no', 'Connection: close') }],
          right: [forwarded({ response: { status: 417 } })],
        },
      ],
    ]),
    ...cases({ source: section, level: 'MAY', right: [refused(417), forwarded()] }, [
      ['expect-unknown', 'another expectation', `${put('Expect: 200-ok')}hello`],
      ['expect-unknown-get', 'another expectation without a body', get('/', 'Expect: foo=bar')],
      ['expect-both', '100-continue and another one', `${put('Expect: 100-continue, foo')}hello`],
      ['expect-parameter', '100-continue with a parameter', `${put('Expect: 100-continue;a=b')}hello`],
      ['expect-prefix', '100-continuex', `${put('Expect: 100-continuex')}hello`],
      ['expect-quoted', '100-continue in quotation marks', `${put('Expect: "100-continue"')}hello`],
    ]),
    ...cases({ source: 'RFC 9110 section 5.6.1', level: 'robustness', right: [forwarded(), refused(417, 400)] }, [
      ['expect-empty', 'empty', `${put('Expect:')}hello`],
      ['expect-no-body', '100-continue without a body', get('/', 'Expect: 100-continue'), { source: section }],
      [
        'expect-length-zero',
        '100-continue with a length of 0',
        post('Expect: 100-continue', 'Content-Length: 0'),
        { source: section },
      ],
    ]),
    ...cases(
      {
        source: section,
        level: 'MUST',
        replies: waits,
        right: [forwarded({ body: 'hello', response: { informational: [], connection: 'closed' } })],
      },
      [
        [
          'expect-1-0',
          'HTTP/1.0: ignored, and no 100 for the client',
          `${head('PUT / HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 5')}hello`,
        ],
      ],
    ),
    ...cases({ source: 'CVE-2025-32094 (Akamai)', level: 'security', right: [forwarded({ requests: 1 }), refused()] }, [
      [
        'expect-options-fold',
        'OPTIONS with a folded Expect and a hidden request as its body',
        `${head('OPTIONS / HTTP/1.1', 'Expect:', ' 100-continue', `Content-Length: ${get('/smuggled').length}`)}${get('/smuggled')}`,
      ],
      [
        'expect-get-hidden',
        'GET with 100-continue and a hidden request as its body',
        `${get('/', 'Expect: 100-continue', `Content-Length: ${get('/smuggled').length}`)}${get('/smuggled')}`,
      ],
    ]),
  ],
};
