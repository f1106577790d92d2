import { head, ok, passes, replaced, responses, type Topic } from '../case.ts';

const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel="preload"\r\n\r\n';
const section = 'RFC 9110 section 15.2';

function relayed(...informational: readonly number[]) {
  return { right: [passes({ informational, body: 'ok', connection: 'kept' })] };
}

export const informational: Topic = {
  name: 'informational',
  title: 'Informational responses',
  cases: [
    ...responses({ source: section, level: 'MUST', right: [] }, [
      [
        'info-100',
        '100 that nobody asked for',
        `HTTP/1.1 100 Continue\r\n\r\n${ok()}`,
        { right: [...relayed(100).right, passes({ informational: [], body: 'ok' }, '100 dropped')] },
      ],
      ['info-102', '102 is relayed', `HTTP/1.1 102 Processing\r\n\r\n${ok()}`, relayed(102)],
      ['info-103', '103 is relayed', hints + ok(), { source: 'RFC 8297 section 2', ...relayed(103) }],
      [
        'info-103-twice',
        'two 103 are relayed',
        hints + hints + ok(),
        { source: 'RFC 8297 section 2', ...relayed(103, 103) },
      ],
      [
        'info-mixed',
        '100, 102 and 103',
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${hints}${ok()}`,
        { right: [...relayed(100, 102, 103).right, ...relayed(102, 103).right] },
      ],
      ['info-199', 'an unknown one is relayed', `HTTP/1.1 199 X\r\n\r\n${ok()}`, relayed(199)],
      [
        'info-fields',
        'with fields',
        `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nX-A: b\r\n\r\n${ok()}`,
        relayed(103),
      ],
      ['info-empty-reason', 'with an empty reason', `HTTP/1.1 103 \r\n\r\n${ok()}`, relayed(103)],
      [
        'info-head',
        'in response to HEAD',
        `${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n`,
        { send: head('HEAD / HTTP/1.1'), right: [passes({ informational: [103], body: '' })] },
      ],
      [
        'info-204',
        'before 204',
        `${hints}HTTP/1.1 204 No Content\r\n\r\n`,
        { right: [passes({ informational: [103], status: 204 })] },
      ],
      [
        'info-404',
        'before 404',
        `${hints}HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno`,
        { right: [passes({ informational: [103], status: 404 })] },
      ],
      ['info-10', 'ten of them', hints.repeat(10) + ok(), relayed(...Array<number>(10).fill(103))],
    ]),
    ...responses(
      {
        source: 'RFC 9110 section 7.6.1',
        level: 'MUST',
        right: [passes({ informational: [103] }), passes({ informational: [] }, 'dropped')],
      },
      [
        [
          'info-connection',
          'their Connection is not relayed',
          `HTTP/1.1 103 Early Hints\r\nConnection: close\r\nLink: </a>\r\n\r\n${ok()}`,
        ],
      ],
    ),
    ...responses(
      { source: 'RFC 9110 section 8.6', level: 'security', right: [passes({ body: 'ok' }), replaced(502)] },
      [
        [
          'info-length',
          'with a length: it is removed, and no body read',
          `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n${ok()}`,
        ],
        [
          'info-coding',
          'with a coding: it is removed, and no body read',
          `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n${ok()}`,
        ],
      ],
    ),
    ...responses({ source: section, level: 'robustness', right: [passes({ body: 'ok' }), replaced(502)] }, [
      ['info-crlf', 'an empty line between 100 and the response', `HTTP/1.1 100 Continue\r\n\r\n\r\n${ok()}`],
      ['info-1-0', '100 in HTTP/1.0', `HTTP/1.0 100 Continue\r\n\r\n${ok()}`],
    ]),
    ...responses({ source: section, level: 'security', right: [replaced(502), passes({ end: 'cut off' })] }, [
      [
        'info-endless',
        '1,000 of them',
        hints.repeat(1000) + ok(),
        { right: [replaced(502), passes({ end: 'cut off' }), passes({ body: 'ok' })] },
      ],
      ['info-only', 'the end behind one, without a final response', { end: hints, after: 'close' }],
    ]),
    ...responses({ source: 'RFC 9110 section 15.2.2', level: 'security', right: [replaced(502)] }, [
      [
        'info-101',
        '101 to a request without Upgrade',
        { end: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n', after: 'close' },
      ],
      ['info-101-bare', '101 without Upgrade', { end: 'HTTP/1.1 101 Switching Protocols\r\n\r\n', after: 'close' }],
      [
        'info-101-h2c',
        '101 for h2c',
        { end: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n', after: 'close' },
      ],
      [
        'info-101-websocket',
        '101 for WebSocket to a GET',
        {
          end: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
          after: 'close',
        },
      ],
    ]),
  ],
};
