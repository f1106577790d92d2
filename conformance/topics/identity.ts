import { cases, type FieldWants, forwarded, get, head, refused, type Topic } from '../case.ts';

const via = '`Via` is sent with `server.via` alone ([client identity](client-identity.md))';

function dropped(line: string, ...more: readonly ReturnType<typeof forwarded>[]) {
  const name = line.slice(0, line.indexOf(':')).toLowerCase();
  return [
    `spoofed-${name.replaceAll('_', '-us-')}`,
    `${line.slice(0, line.indexOf(':'))} of a client`,
    get('/', line),
    { right: [forwarded({ fields: { [name]: null } }), ...more] },
  ] as const;
}

function replaced(line: string, value: string | RegExp) {
  const name = line.slice(0, line.indexOf(':')).toLowerCase();
  return [
    `spoofed-${name}`,
    `${line.slice(0, line.indexOf(':'))} of a client is replaced`,
    get('/', line, line),
    { right: [forwarded({ fields: { [name]: value } })] },
  ] as const;
}

/** Fields that reach the backend as they are. */
function kept(id: string, title: string, lines: readonly string[], fields: FieldWants) {
  return [id, title, get('/', ...lines), { right: [forwarded({ fields })] }] as const;
}

const trace = 'Clients are not trusted: the fields of tracing are made anew ([client identity](client-identity.md))';

export const identity: Topic = {
  name: 'identity',
  title: 'Fields that identify, and fields that pass',
  cases: [
    ...cases({ source: 'CVE-2024-45410 (Traefik)', level: 'security', right: [] }, [
      replaced('X-Forwarded-For: 192.0.2.6', '127.0.0.1'),
      replaced('X-Real-IP: 192.0.2.6', '127.0.0.1'),
      replaced('X-Forwarded-Proto: https', 'http'),
      replaced('X-Forwarded-Host: evil.test', 'a.test'),
      replaced('X-Forwarded-Port: 6666', /^(?!6666)\d+$/),
    ]),
    ...cases({ source: 'RFC 7239 section 8.1', level: 'security', right: [] }, [
      dropped('Forwarded: for=192.0.2.6;proto=https'),
    ]),
    ...cases({ source: 'RFC 7239 section 8.1', level: 'MAY', right: [] }, [
      dropped('X-Forwarded-Server: evil.test', forwarded({ as: 'kept' })),
      dropped('X-Forwarded-Prefix: /admin', forwarded({ as: 'kept' })),
      dropped('X-Forwarded-Protocol: https', forwarded({ as: 'kept' })),
    ]),
    ...cases({ source: 'CVE-2026-39858', level: 'security', right: [] }, [
      dropped('X_Forwarded_For: 192.0.2.6'),
      dropped('X_Forwarded_Proto: https'),
      dropped('X_Forwarded_Host: evil.test'),
      dropped('X_Real_IP: 192.0.2.6'),
      dropped('X-Forwarded_For: 192.0.2.6'),
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 7.6.3',
        level: 'MUST',
        right: [forwarded({ fields: { via: /1\.1 \S+/ } })],
        reason: via,
      },
      [
        ['via', 'a gateway adds Via to requests', get('/')],
        [
          'via-appended',
          'behind those that are there',
          get('/', 'Via: 1.0 fred'),
          { right: [forwarded({ fields: { via: /^1\.0 fred, .*1\.1 \S+/ } })] },
        ],
      ],
    ),
    ...cases({ source: 'RFC 9110 section 7.6.3', level: 'MUST', right: [] }, [
      kept('via-order', 'the order of Via is kept', ['Via: 1.0 fred, 1.1 p', 'Via: 1.1 q'], {
        via: /^1\.0 fred, 1\.1 p, 1\.1 q/,
      }),
      kept('cdn-loop', 'CDN-Loop is not removed', ['CDN-Loop: foo; a=b'], { 'cdn-loop': /^foo; a=b/ }),
    ]),
    ...cases({ source: 'RFC 8586 section 2', level: 'MAY', right: [refused(508, 502), forwarded()] }, [
      [
        'loop',
        'a request that has come through this proxy many times',
        get('/', `CDN-Loop: ${Array(12).fill('hipache').join(', ')}`),
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 7.6', level: 'MUST', right: [] }, [
      kept('pass-cookie', 'Cookie', ['Cookie: a=b; c="d"'], { cookie: 'a=b; c="d"' }),
      kept('pass-cookies', 'two lines of Cookie', ['Cookie: a=b', 'Cookie: c=d'], { cookie: ['a=b', 'c=d'] }),
      kept('pass-authorization', 'Authorization', ['Authorization: Basic eDp5'], { authorization: 'Basic eDp5' }),
      kept('pass-range', 'Range', ['Range: bytes=0-4,-1'], { range: 'bytes=0-4,-1' }),
      kept('pass-if-range', 'If-Range', ['If-Range: W/"a"'], { 'if-range': 'W/"a"' }),
      kept('pass-if-none-match', 'If-None-Match', ['If-None-Match: "a", W/"b", *'], {
        'if-none-match': '"a", W/"b", *',
      }),
      kept('pass-if-modified-since', 'If-Modified-Since', ['If-Modified-Since: Fri, 27 Nov 2026 18:00:00 GMT'], {
        'if-modified-since': 'Fri, 27 Nov 2026 18:00:00 GMT',
      }),
      kept('pass-accept', 'Accept with parameters', ['Accept: text/*;q=0.3, */*;q=0'], {
        accept: 'text/*;q=0.3, */*;q=0',
      }),
      kept('pass-accept-encoding', 'Accept-Encoding', ['Accept-Encoding: br;q=1.0, gzip, *;q=0'], {
        'accept-encoding': 'br;q=1.0, gzip, *;q=0',
      }),
      kept('pass-content-encoding', 'Content-Encoding', ['Content-Encoding: gzip'], { 'content-encoding': 'gzip' }),
      kept('pass-content-type', 'Content-Type with a parameter', ['Content-Type: text/plain; charset="utf-8"'], {
        'content-type': 'text/plain; charset="utf-8"',
      }),
      kept('pass-referer', 'Referer', ['Referer: http://a.test/?a#b'], { referer: 'http://a.test/?a#b' }),
      kept('pass-user-agent', 'User-Agent', ['User-Agent: a/1.0 (b; c)'], { 'user-agent': 'a/1.0 (b; c)' }),
      kept('pass-no-user-agent', 'no User-Agent, Accept or Accept-Encoding is made up', [], {
        'user-agent': null,
        accept: null,
        'accept-encoding': null,
      }),
      kept(
        'pass-cache-control',
        'Cache-Control and Pragma',
        ['Cache-Control: no-cache, max-age=0', 'Pragma: no-cache'],
        { 'cache-control': 'no-cache, max-age=0', pragma: 'no-cache' },
      ),
      kept('pass-origin', 'Origin', ['Origin: null'], { origin: 'null' }),
      kept('pass-date', 'Date of a request', ['Date: Fri, 27 Nov 2026 18:00:00 GMT'], {
        date: 'Fri, 27 Nov 2026 18:00:00 GMT',
      }),
      kept(
        'pass-proxy-authorization',
        'Proxy-Authorization, if the proxy does not ask for it',
        ['Proxy-Authorization: Basic eDp5'],
        { 'proxy-authorization': 'Basic eDp5' },
      ),
      kept('pass-unknown', 'an unknown field', ['X-Unknown: a, b;c="d"'], { 'x-unknown': 'a, b;c="d"' }),
    ]),
    ...cases({ source: 'W3C Trace Context section 3', level: 'MAY', right: [], reason: trace }, [
      kept(
        'pass-traceparent',
        'traceparent of a client',
        ['traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
        { traceparent: /^00-0af7651916cd43dd8448eb211c80319c-/ },
      ),
    ]),
    ...cases({ source: 'RFC 9110 section 5.3', level: 'MUST', right: [] }, [
      kept('pass-order', 'lists and lines of one name stay in order', ['X-A: 1, 2', 'X-B: x', 'X-A: 3', 'X-A: 4'], {
        'x-a': ['1, 2', '3', '4'],
      }),
    ]),
    ...cases({ source: 'RFC 9110 section 7.7', level: 'MUST', right: [] }, [
      [
        'pass-options-body',
        'the content is not transformed',
        `${head('POST / HTTP/1.1', 'Content-Type: text/plain', 'Content-Length: 8')}a\r\nb\0\xff\r\n`,
        { right: [forwarded({ body: 'a\r\nb\0\xff\r\n', fields: { 'content-type': 'text/plain' } })] },
      ],
    ]),
  ],
};
