import { answer, type ConformanceCase, forwarded, get, ok, passes, refused, replaced, type Topic } from '../case.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const section = 'RFC 6455 section 4.1';

type Changes = Readonly<Record<string, string | readonly string[] | null>>;

function lines(fields: Changes): string {
  return Object.entries(fields)
    .flatMap(([name, value]) => (value === null ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)))
    .join('');
}

/** A handshake with these fields changed; null omits one. */
function handshake(changes: Changes = {}, start = 'GET /chat HTTP/1.1'): string {
  const usual = {
    Host: 'a.test',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': '13',
  };
  return `${start}\r\n${lines({ ...usual, ...changes })}\r\n`;
}

/** A 101 with these fields changed. */
function switched(changes: Changes = {}, start = 'HTTP/1.1 101 Switching Protocols'): string {
  return `${start}\r\n${lines({ Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': accept, ...changes })}\r\n`;
}

const tunnel = forwarded({
  tunnel: true,
  line: 'GET /chat HTTP/1.1',
  fields: { upgrade: /^websocket$/i, connection: /upgrade/i, 'sec-websocket-key': key, 'sec-websocket-version': '13' },
});
/** The check is left to the backend, or to the client. */
const toBackend = forwarded({ as: 'left to the backend', tunnel: true });
const toClient = forwarded({ as: 'left to the client', tunnel: true });
const plain = forwarded({ as: 'without Upgrade', fields: { upgrade: null } });

type Row = readonly [id: string, title: string, send: string, more?: Partial<ConformanceCase>];

/** Handshakes that the backend accepts if they reach it. */
function accepted(
  common: Pick<ConformanceCase, 'source' | 'level' | 'right'>,
  rows: readonly Row[],
): readonly ConformanceCase[] {
  return rows.map(([id, title, send, more]) => ({
    ...common,
    id: `ws-${id}`,
    title,
    send,
    replies: [switched()],
    ...more,
  }));
}

/** Responses to a valid handshake. */
function answered(
  common: Pick<ConformanceCase, 'source' | 'level' | 'right'>,
  rows: readonly (readonly [id: string, title: string, reply: string, more?: Partial<ConformanceCase>])[],
) {
  return rows.map(([id, title, reply, more]) => ({
    ...common,
    id: `ws-${id}`,
    title,
    send: handshake(),
    replies: [reply],
    ...more,
  }));
}

export const websocket: Topic = {
  name: 'websocket',
  title: 'WebSocket handshakes',
  cases: [
    ...accepted({ source: section, level: 'MUST', right: [tunnel] }, [
      ['plain', 'a handshake becomes a tunnel', handshake()],
      ['case', 'WebSocket and upgrade in other case', handshake({ Upgrade: 'WebSocket', Connection: 'upgrade' })],
      ['connection-list', 'upgrade in a list', handshake({ Connection: 'keep-alive, Upgrade' })],
      ['connection-lines', 'upgrade in a second line', handshake({ Connection: ['keep-alive', 'Upgrade'] })],
      [
        'name-case',
        'names of fields in other case',
        handshake({ 'Sec-WebSocket-Key': null, 'SEC-WEBSOCKET-KEY': key }),
      ],
      ['origin', 'with Origin', handshake({ Origin: 'http://a.test' })],
      [
        'query',
        'with a query',
        handshake({}, 'GET /chat?a=b HTTP/1.1'),
        { right: [forwarded({ tunnel: true, line: 'GET /chat?a=b HTTP/1.1' })] },
      ],
      ['length-zero', 'with Content-Length: 0', handshake({ 'Content-Length': '0' })],
      [
        'cookie',
        'with Cookie and Authorization',
        handshake({ Cookie: 'a=b', Authorization: 'Basic eDp5' }),
        { right: [forwarded({ tunnel: true, fields: { cookie: 'a=b', authorization: 'Basic eDp5' } })] },
      ],
      [
        'protocol',
        'the subprotocols reach the backend',
        handshake({ 'Sec-WebSocket-Protocol': 'chat, x' }),
        { right: [forwarded({ tunnel: true, fields: { 'sec-websocket-protocol': 'chat, x' } })] },
      ],
      [
        'extensions',
        'the extensions reach the backend',
        handshake({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }),
        {
          right: [
            forwarded({
              tunnel: true,
              fields: { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' },
            }),
          ],
        },
      ],
      ['padded', 'blanks around the key', handshake({ 'Sec-WebSocket-Key': `  ${key}  ` })],
      [
        'absolute',
        'a target in absolute-form',
        handshake({}, 'GET ws://a.test/chat HTTP/1.1'),
        { source: 'RFC 9112 section 3.2.2', right: [tunnel] },
      ],
      [
        'absolute-http',
        'a target in absolute-form with http',
        handshake({}, 'GET http://a.test/chat HTTP/1.1'),
        { source: 'RFC 9112 section 3.2.2', right: [tunnel] },
      ],
      [
        'protocol-list',
        'websocket in a list of protocols',
        handshake({ Upgrade: 'foo, websocket' }),
        { right: [forwarded({ tunnel: true }), forwarded({ as: 'without Upgrade', fields: { upgrade: null } })] },
      ],
    ]),
    ...accepted({ source: section, level: 'MUST', right: [tunnel] }, [
      [
        'connection-close',
        'close beside upgrade',
        handshake({ Connection: 'close, Upgrade' }),
        { level: 'robustness', right: [tunnel, plain, refused()] },
      ],
      ['protocol-case', 'WEBSOCKET in upper case', handshake({ Upgrade: 'WEBSOCKET' })],
      [
        'protocols-lines',
        'two lines of subprotocols',
        handshake({ 'Sec-WebSocket-Protocol': ['chat', 'x'] }),
        { right: [forwarded({ tunnel: true, fields: { 'sec-websocket-protocol': /^chat, ?x$/ } })] },
      ],
      ['1-2', 'HTTP/1.2', handshake({}, 'GET /chat HTTP/1.2'), { level: 'SHOULD', right: [tunnel, plain, refused()] }],
      [
        'spoofed',
        'the client is named as with any request',
        handshake({ 'X-Forwarded-For': '192.0.2.6' }),
        {
          level: 'security',
          source: 'RFC 7239 section 8.1',
          right: [forwarded({ tunnel: true, fields: { 'x-forwarded-for': '127.0.0.1' } })],
        },
      ],
      [
        'nominated',
        'Connection cannot remove X-Forwarded-For',
        handshake({ Connection: 'Upgrade, X-Forwarded-For' }),
        {
          level: 'security',
          source: 'CVE-2024-45410 (Traefik)',
          right: [forwarded({ tunnel: true, fields: { 'x-forwarded-for': '127.0.0.1' } }), refused(400)],
        },
      ],
      [
        'nominated-hop',
        'a field that Connection names is removed',
        handshake({ Connection: 'Upgrade, X-Hop', 'X-Hop': '1' }),
        { source: 'RFC 9110 section 7.6.1', right: [forwarded({ tunnel: true, fields: { 'x-hop': null } })] },
      ],
      [
        'info',
        'a 103 before the 101',
        handshake(),
        {
          level: 'MAY',
          replies: [`HTTP/1.1 103 Early Hints\r\n\r\n${switched()}`],
          right: [forwarded({ tunnel: true }), replaced(502)],
        },
      ],
      [
        'host',
        'two Host fields',
        handshake({ Host: ['a.test', 'b.test'] }),
        { source: 'RFC 9112 section 3.2', right: [refused(400)] },
      ],
      ['no-host', 'no Host', handshake({ Host: null }), { source: 'RFC 9112 section 3.2', right: [refused(400)] }],
      [
        'length-coding',
        'a length and a coding',
        `${handshake({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' })}0\r\n\r\n`,
        { source: 'RFC 9112 section 6.1', level: 'security', replies: [ok()], right: [refused(400)] },
      ],
      [
        'smuggled',
        'a length of 0 and a request behind it',
        `${handshake({ 'Content-Length': '0' })}${get('/next')}`,
        {
          source: 'RFC 6455 section 4.2.2',
          level: 'security',
          replies: [answer('403 Forbidden', 'no'), ok()],
          answers: 2,
          right: [
            forwarded({ requests: 2, lastLine: 'GET /next HTTP/1.1' }),
            forwarded({ as: 'the second not', requests: 1 }),
          ],
        },
      ],
    ]),
    ...accepted(
      { source: 'RFC 6455 section 4.2.1', level: 'robustness', right: [refused(400), refused(), toBackend] },
      [
        [
          'version-twice',
          'two lines of the version',
          handshake({ 'Sec-WebSocket-Version': ['13', '13'] }),
          { right: [refused(426), refused(400), toBackend] },
        ],
        [
          'put',
          'PUT',
          handshake({}, 'PUT /chat HTTP/1.1'),
          { right: [refused(400), refused(405), refused(), plain, toBackend] },
        ],
        ['key-blank', 'a blank within the key', handshake({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBs ZSBub25jZQ==' })],
        ['key-no-padding', 'a key without its padding', handshake({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ' })],
        ['key-list', 'a list of keys', handshake({ 'Sec-WebSocket-Key': `${key}, ${key}` })],
      ],
    ),
    ...answered({ source: 'RFC 9110 section 7.6.1', level: 'MUST', right: [] }, [
      [
        '101-length',
        'a 101 with Content-Length: 0',
        switched({ 'Content-Length': '0' }),
        {
          source: 'RFC 9110 section 8.6',
          level: 'robustness',
          right: [
            replaced(502),
            forwarded({ tunnel: true, as: 'length dropped', response: { fields: { 'content-length': null } } }),
          ],
        },
      ],
      [
        '101-nominated',
        'a field that the Connection of a 101 names is removed',
        switched({ Connection: 'Upgrade, X-Hop', 'X-Hop': '1' }),
        { right: [forwarded({ tunnel: true, response: { fields: { 'x-hop': null } } })] },
      ],
    ]),
    ...accepted(
      { source: 'RFC 6455 section 4.2.1', level: 'robustness', right: [refused(400), refused(), toBackend] },
      [
        ['no-key', 'no key', handshake({ 'Sec-WebSocket-Key': null })],
        ['key-short', 'a key that is too short', handshake({ 'Sec-WebSocket-Key': 'c2hvcnQ=' })],
        ['key-long', 'a key that is too long', handshake({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZSBpcyBsb25n' })],
        ['key-base64', 'a key that is no Base64', handshake({ 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' })],
        ['key-empty', 'an empty key', handshake({ 'Sec-WebSocket-Key': '' })],
        ['key-twice', 'two keys', handshake({ 'Sec-WebSocket-Key': [key, key] })],
        [
          'post',
          'POST',
          handshake({}, 'POST /chat HTTP/1.1'),
          { right: [refused(400), refused(405), refused(), plain, toBackend] },
        ],
      ],
    ),
    ...accepted(
      {
        source: 'RFC 6455 section 4.4',
        level: 'robustness',
        right: [{ ...refused(426), response: { fields: { 'sec-websocket-version': '13' } } }, toBackend],
      },
      [
        ['version-8', 'version 8: 426 that names 13', handshake({ 'Sec-WebSocket-Version': '8' })],
        [
          'version-missing',
          'no version: 426 or 400',
          handshake({ 'Sec-WebSocket-Version': null }),
          { right: [refused(426), refused(400), toBackend] },
        ],
        [
          'version-word',
          'a version that is no number',
          handshake({ 'Sec-WebSocket-Version': 'x' }),
          { right: [refused(426), refused(400), toBackend] },
        ],
        [
          'version-list',
          'a list of versions',
          handshake({ 'Sec-WebSocket-Version': '13, 8' }),
          { right: [refused(426), refused(400), toBackend] },
        ],
      ],
    ),
    ...accepted({ source: 'RFC 6455 section 4.2.1', level: 'security', right: [refused(400), refused(), plain] }, [
      [
        '1-0',
        'HTTP/1.0',
        handshake({}, 'GET /chat HTTP/1.0'),
        { replies: [ok()], source: 'RFC 9110 section 7.8', right: [plain, refused()] },
      ],
      [
        'no-connection',
        'no Connection: upgrade',
        handshake({ Connection: null }),
        { replies: [ok()], source: 'RFC 9110 section 7.8', right: [plain, refused()] },
      ],
      [
        'connection-other',
        'Connection without upgrade',
        handshake({ Connection: 'keep-alive' }),
        { replies: [ok()], source: 'RFC 9110 section 7.8', right: [plain, refused()] },
      ],
      ['body', 'with a body', `${handshake({ 'Content-Length': '5' })}hello`, { replies: [ok()] }],
      ['chunked', 'with chunks', `${handshake({ 'Transfer-Encoding': 'chunked' })}0\r\n\r\n`, { replies: [ok()] }],
      ['lookalike', 'websocketx', handshake({ Upgrade: 'websocketx' }), { replies: [ok()], right: [plain, refused()] }],
      [
        'prefixed',
        'websocket/13',
        handshake({ Upgrade: 'websocket/13' }),
        { replies: [ok()], level: 'robustness', right: [plain, refused(), forwarded({ as: 'kept' })] },
      ],
    ]),
    ...answered({ source: 'RFC 6455 section 4.1', level: 'robustness', right: [replaced(502), toClient] }, [
      [
        'accept-wrong',
        'a wrong Sec-WebSocket-Accept',
        switched({ 'Sec-WebSocket-Accept': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' }),
      ],
      ['accept-missing', 'no Sec-WebSocket-Accept', switched({ 'Sec-WebSocket-Accept': null })],
      ['accept-twice', 'two of them', switched({ 'Sec-WebSocket-Accept': [accept, accept] })],
      ['101-no-upgrade', '101 without Upgrade', switched({ Upgrade: null })],
      ['101-other', '101 for another protocol', switched({ Upgrade: 'foo' })],
      ['101-no-connection', '101 without Connection', switched({ Connection: null })],
      ['101-1-0', '101 in HTTP/1.0', switched({}, 'HTTP/1.0 101 Switching Protocols')],
    ]),
    ...answered({ source: 'RFC 6455 section 4.2.2', level: 'MUST', right: [passes()] }, [
      [
        '101-protocol',
        'the subprotocol of the backend reaches the client',
        switched({ 'Sec-WebSocket-Protocol': 'chat' }),
        {
          right: [
            forwarded({
              tunnel: true,
              response: { fields: { 'sec-websocket-protocol': 'chat', 'sec-websocket-accept': accept } },
            }),
          ],
        },
      ],
      [
        '101-extensions',
        'so do its extensions',
        switched({ 'Sec-WebSocket-Extensions': 'permessage-deflate' }),
        {
          right: [
            forwarded({ tunnel: true, response: { fields: { 'sec-websocket-extensions': 'permessage-deflate' } } }),
          ],
        },
      ],
      [
        '101-case',
        'Upgrade and Connection in other case',
        switched({ Upgrade: 'WebSocket', Connection: 'upgrade' }),
        { right: [forwarded({ tunnel: true })] },
      ],
      [
        '101-cookie',
        'Set-Cookie in a 101',
        switched({ 'Set-Cookie': ['a=b', 'c=d'] }),
        { right: [forwarded({ tunnel: true, response: { fields: { 'set-cookie': ['a=b', 'c=d'] } } })] },
      ],
      [
        '101-reason',
        '101 with another reason',
        switched({}, 'HTTP/1.1 101 Web Socket Protocol Handshake'),
        { right: [forwarded({ tunnel: true })] },
      ],
      [
        '200',
        'a 200 is an ordinary response',
        ok(),
        { right: [passes({ status: 200, body: 'ok', connection: 'kept' })] },
      ],
      [
        '403',
        'a 403 with its body',
        answer('403 Forbidden', 'no'),
        { right: [passes({ status: 403, body: 'no', connection: 'kept' })] },
      ],
      [
        '404',
        'a 404 with its body',
        answer('404 Not Found', 'no'),
        { right: [passes({ status: 404, body: 'no', connection: 'kept' })] },
      ],
      [
        '426',
        'a 426 with its versions',
        answer(
          '426 Upgrade Required',
          'no',
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Version: 13, 14',
        ),
        {
          source: 'RFC 6455 section 4.4',
          right: [passes({ status: 426, fields: { 'sec-websocket-version': '13, 14' }, body: 'no' })],
        },
      ],
      [
        '401',
        'a 401',
        answer('401 Unauthorized', 'no', 'WWW-Authenticate: Basic realm="x"'),
        { right: [passes({ status: 401, fields: { 'www-authenticate': 'Basic realm="x"' } })] },
      ],
      [
        '302',
        'a redirect',
        answer('302 Found', '', 'Location: ws://b.test/'),
        { right: [passes({ status: 302, fields: { location: 'ws://b.test/' } })] },
      ],
    ]),
    ...answered({ source: 'RFC 6455 section 4.2.2', level: 'security', right: [] }, [
      [
        'early',
        'bytes that come with the handshake reach the backend behind its 101',
        switched(),
        { send: `${handshake()}early`, right: [forwarded({ tunnel: 'earlyping' })] },
      ],
      [
        'early-403',
        'early bytes behind a handshake that is refused are no request of the backend',
        answer('403 Forbidden', 'no'),
        {
          send: `${handshake()}\x81\x85\0\0\0\0hello`,
          right: [forwarded({ requests: 1, response: { status: 403, connection: 'refused' } })],
        },
      ],
      [
        'pipelined',
        'a request behind a handshake that is refused is processed afterwards, or not at all',
        answer('403 Forbidden', 'no'),
        {
          send: handshake() + get('/next'),
          right: [
            forwarded({ requests: 2, lastLine: 'GET /next HTTP/1.1', response: { status: 403 } }),
            forwarded({ as: 'the second not', requests: 1 }),
          ],
          answers: 2,
        },
      ],
    ]),
  ],
};
