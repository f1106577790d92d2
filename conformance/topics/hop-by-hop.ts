import { cases, type FieldWants, forwarded, get, ok, post, refused, type Topic } from '../case.ts';

const without = (...names: readonly string[]) => [forwarded({ fields: absent(names) })];

function absent(names: readonly string[]): FieldWants {
  return Object.fromEntries(names.map((name) => [name, null]));
}

const upgrade = { source: 'h2c smuggling (Bishop Fox, 2020)', level: 'security' } as const;

export const hopByHop: Topic = {
  name: 'hop-by-hop',
  title: 'Connection and other hop-by-hop fields of requests',
  cases: [
    ...cases({ source: 'RFC 9110 section 7.6.1', level: 'MUST', right: without('x-hop') }, [
      ['nominated', 'a field that Connection names is removed', get('/', 'Connection: X-Hop', 'X-Hop: 1')],
      ['nominated-before', 'named behind the field', get('/', 'X-Hop: 1', 'Connection: X-Hop')],
      ['nominated-case', 'named in other case', get('/', 'Connection: x-hOP', 'X-Hop: 1')],
      ['nominated-list', 'named in a list', get('/', 'Connection: keep-alive, X-Hop', 'X-Hop: 1')],
      ['nominated-empty-members', 'named in a list with empty members', get('/', 'Connection: , ,X-Hop,', 'X-Hop: 1')],
      [
        'nominated-second-line',
        'named in a second line',
        get('/', 'Connection: keep-alive', 'Connection: X-Hop', 'X-Hop: 1'),
      ],
      ['nominated-twice', 'every line of it', get('/', 'X-Hop: 1', 'Connection: X-Hop', 'X-Hop: 2')],
      ['nominated-tabs', 'with tabs around the name', get('/', 'Connection: \tX-Hop\t,keep-alive', 'X-Hop: 1')],
      ['nominated-close', 'beside close', get('/', 'Connection: close, X-Hop', 'X-Hop: 1')],
    ]),
    ...cases({ source: 'RFC 9110 section 7.6.1', level: 'MUST', right: [] }, [
      [
        'connection-option',
        'the options of the client are not forwarded',
        get('/', 'Connection: foo'),
        { right: [...without('connection'), forwarded({ fields: { connection: /^(?!.*foo)/ } })] },
      ],
      [
        'connection-close',
        'close ends the connection of the client',
        get('/', 'Connection: close'),
        { source: 'RFC 9112 section 9.6', right: [forwarded({ response: { connection: 'closed' } })] },
      ],
      [
        'connection-close-case',
        'CLOSE ends it too',
        get('/', 'Connection: CLOSE'),
        { source: 'RFC 9112 section 9.6', right: [forwarded({ response: { connection: 'closed' } })] },
      ],
      [
        'connection-close-list',
        'close in a list',
        get('/', 'Connection: foo, close'),
        { source: 'RFC 9112 section 9.6', right: [forwarded({ response: { connection: 'closed' } })] },
      ],
      [
        'connection-close-line',
        'close in a second line',
        get('/', 'Connection: foo', 'Connection: close'),
        { source: 'RFC 9112 section 9.6', right: [forwarded({ response: { connection: 'closed' } })] },
      ],
      [
        'connection-close-keep',
        'close and keep-alive',
        get('/', 'Connection: keep-alive, close'),
        { source: 'RFC 9112 section 9.3', right: [forwarded({ response: { connection: 'closed' } })] },
      ],
      [
        'connection-close-answered',
        'the response says close',
        get('/', 'Connection: close'),
        {
          source: 'RFC 9112 section 9.6',
          level: 'SHOULD',
          right: [forwarded({ response: { fields: { connection: /close/i } } })],
        },
      ],
      [
        'connection-closed-part',
        'closed, which is not close',
        get('/', 'Connection: closed'),
        { source: 'RFC 9112 section 9.3', right: [forwarded({ response: { connection: 'kept' } })] },
      ],
      [
        'connection-none',
        'the connection is kept without an option',
        get('/'),
        { source: 'RFC 9112 section 9.3', level: 'SHOULD', right: [forwarded({ response: { connection: 'kept' } })] },
      ],
      [
        'connection-keep-alive',
        'the connection is kept with keep-alive',
        get('/', 'Connection: keep-alive'),
        { source: 'RFC 9112 section 9.3', level: 'SHOULD', right: [forwarded({ response: { connection: 'kept' } })] },
      ],
      [
        'connection-empty',
        'an empty Connection',
        get('/', 'Connection:'),
        { level: 'robustness', right: [forwarded({ response: { connection: 'kept' } }), forwarded(), refused(400)] },
      ],
      [
        'connection-no-token',
        'an option that is no token',
        get('/', 'Connection: a b'),
        { level: 'robustness', right: [forwarded(), refused(400)] },
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 7.6.1', level: 'SHOULD', right: [] }, [
      [
        'hop-keep-alive',
        'Keep-Alive is removed, even if it is not named',
        get('/', 'Keep-Alive: timeout=5'),
        { right: without('keep-alive') },
      ],
      [
        'hop-proxy-connection',
        'Proxy-Connection is removed',
        get('/', 'Proxy-Connection: close'),
        { right: without('proxy-connection') },
      ],
      ['hop-te', 'TE is removed', get('/', 'TE: gzip'), { right: without('te') }],
      [
        'hop-te-trailers',
        'TE: trailers that Connection names is removed or sent anew',
        get('/', 'Connection: TE', 'TE: trailers'),
        {
          level: 'MUST',
          right: [...without('te'), forwarded({ as: 'sent anew', fields: { connection: /te/i, te: 'trailers' } })],
        },
      ],
      ['hop-upgrade', 'Upgrade without Connection is removed', get('/', 'Upgrade: foo'), { right: without('upgrade') }],
      [
        'hop-trailer',
        'Trailer is forwarded or removed',
        get('/', 'Trailer: X-A'),
        { source: 'RFC 9110 section 6.6.2', level: 'MAY', right: [forwarded()] },
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 7.6.1', level: 'security', right: [] }, [
      [
        'nominated-host',
        'Host cannot be removed',
        get('/', 'Connection: Host'),
        { source: 'CVE-2024-45410 (Traefik)', right: [forwarded({ fields: { host: 'a.test' } }), refused(400)] },
      ],
      [
        'nominated-forwarded-for',
        'X-Forwarded-For cannot be removed',
        get('/', 'Connection: X-Forwarded-For'),
        {
          source: 'CVE-2024-45410 (Traefik)',
          right: [forwarded({ fields: { 'x-forwarded-for': '127.0.0.1' } }), refused(400)],
        },
      ],
      [
        'nominated-real-ip',
        'X-Real-IP cannot be removed',
        get('/', 'Connection: close, X-Real-Ip'),
        {
          source: 'CVE-2025-48865 (fabio)',
          right: [forwarded({ fields: { 'x-real-ip': '127.0.0.1' } }), refused(400)],
        },
      ],
      [
        'nominated-forwarded-host',
        'X-Forwarded-Host, -Proto and -Port cannot be removed',
        get('/', 'Connection: X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Port'),
        {
          source: 'CVE-2024-45410 (Traefik)',
          right: [
            forwarded({
              fields: { 'x-forwarded-host': 'a.test', 'x-forwarded-proto': 'http', 'x-forwarded-port': /^\d+$/ },
            }),
            refused(400),
          ],
        },
      ],
      [
        'nominated-length',
        'Content-Length cannot be removed',
        `${post('Connection: Content-Length', 'Content-Length: 5')}hello`,
        { source: 'CVE-2026-26365', right: [refused(400), forwarded({ body: 'hello' })] },
      ],
      [
        'nominated-length-case',
        'content-length among others',
        `${post('Connection: close, X, content-length', 'Content-Length: 5')}hello`,
        { source: 'CVE-2026-26365', right: [refused(400), forwarded({ body: 'hello' })] },
      ],
      [
        'nominated-coding',
        'Transfer-Encoding cannot be removed',
        `${post('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
        { source: 'CVE-2026-26365', right: [refused(400), forwarded({ body: 'hello' })] },
      ],
      [
        'nominated-coding-junk',
        'Transfer-Encoding beside an option that is no token',
        `${post('Connection: a b, Transfer-Encoding', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
        { source: 'CVE-2026-26365', right: [refused(400), forwarded({ body: 'hello' })] },
      ],
      [
        'nominated-connection',
        'Connection itself',
        get('/', 'Connection: Connection'),
        { right: [forwarded(), refused(400)] },
      ],
      [
        'nominated-cookie',
        'Cookie, which is end-to-end: removed as named, or kept',
        get('/', 'Connection: Cookie', 'Cookie: a=b'),
        { level: 'MAY', right: [...without('cookie'), forwarded({ as: 'kept' })] },
      ],
      [
        'nominated-1000',
        '1,000 names',
        get('/', `Connection: ${Array.from({ length: 1000 }, (_, at) => `x${at}`).join(',')}`, 'X999: 1'),
        { right: [...without('x999'), refused(400, 431)] },
      ],
    ]),
    ...cases({ ...upgrade, right: without('upgrade', 'http2-settings') }, [
      [
        'upgrade-h2c',
        'Upgrade: h2c is not forwarded',
        get('/', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ'),
      ],
      ['upgrade-h2c-bare', 'Upgrade: h2c without HTTP2-Settings', get('/', 'Connection: Upgrade', 'Upgrade: h2c')],
      [
        'upgrade-h2c-list',
        'h2c in a list',
        get('/', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: foo, h2c', 'HTTP2-Settings: AAMAAABkAAQ'),
      ],
      [
        'upgrade-tls',
        'Upgrade: TLS/1.3 (RFC 2817)',
        get('/', 'Connection: Upgrade', 'Upgrade: TLS/1.3'),
        { source: 'RFC 9110 section 7.8' },
      ],
      [
        'upgrade-http2',
        'Upgrade: HTTP/2.0',
        get('/', 'Connection: Upgrade', 'Upgrade: HTTP/2.0'),
        { source: 'RFC 9110 section 7.8' },
      ],
    ]),
    ...cases(
      {
        source: 'CVE-2026-2833',
        level: 'security',
        answers: 2,
        right: [
          forwarded({ requests: 2, lastLine: 'GET /next HTTP/1.1' }),
          forwarded({ as: 'the second waits', requests: 1, response: { connection: 'closed' } }),
        ],
      },
      [
        [
          'upgrade-pipelined',
          'Upgrade: foo with a request behind it, and the backend responds 200',
          `${get('/', 'Connection: Upgrade', 'Upgrade: foo')}${get('/next')}`,
          { replies: [ok('one'), ok('two')] },
        ],
        [
          'upgrade-pipelined-h2c',
          'Upgrade: h2c with a request behind it, and the backend responds 200',
          `${get('/', 'Connection: Upgrade', 'Upgrade: h2c')}${get('/next')}`,
          { replies: [ok('one'), ok('two')] },
        ],
      ],
    ),
  ],
};
