import { cases, forwarded, get, head, refused, type Topic } from '../case.ts';

const section = 'RFC 9112 section 3.2.2';

/** A target in absolute-form that reaches the backend in origin-form. */
function absolute(id: string, title: string, target: string, path: string, host = 'a.test') {
  const send = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  return [id, title, send, { right: [forwarded({ line: `GET ${path} HTTP/1.1` })] }] as const;
}

const mismatch =
  `An authority that differs from Host is refused: other servers on the way may have believed the other one
([architecture](architecture.md#decisions)).`.replace('\n', ' ');

export const targets: Topic = {
  name: 'targets',
  title: 'Forms of targets',
  cases: [
    ...cases({ source: section, level: 'MUST', right: [] }, [
      absolute('absolute', 'absolute-form is accepted, and sent in origin-form', 'http://a.test/x', '/x'),
      absolute('absolute-query', 'with a query', 'http://a.test/x?y=z', '/x?y=z'),
      absolute('absolute-no-path', 'without a path', 'http://a.test', '/'),
      absolute('absolute-only-query', 'with a query and no path', 'http://a.test?y', '/?y'),
      absolute('absolute-upper', 'scheme and host in upper case', 'HTTP://A.TEST/x', '/x'),
      absolute('absolute-port', 'with a port', 'http://a.test:8080/x', '/x', 'a.test:8080'),
      absolute('absolute-default-port', 'with the default port, which Host lacks', 'http://a.test:80/x', '/x'),
      absolute('absolute-host-port', 'without the default port, which Host has', 'http://a.test/x', '/x', 'a.test:80'),
      absolute('absolute-empty-port', 'with an empty port', 'http://a.test:/x', '/x'),
      absolute('absolute-ipv6', 'with an IPv6 address', 'http://[::1]:8080/x', '/x', '[::1]:8080'),
      absolute('absolute-slashes', 'with an empty segment', 'http://a.test//x', '//x'),
      absolute(
        'absolute-url-in-query',
        'with a URL in its query',
        'http://a.test/?u=http://b.test/',
        '/?u=http://b.test/',
      ),
    ]),
    ...cases({ source: section, level: 'MUST', right: [], reason: mismatch }, [
      [
        'absolute-mismatch',
        'another host: that of the target is used',
        get('http://b.test/x'),
        { right: [forwarded({ line: 'GET /x HTTP/1.1', fields: { host: 'b.test' } })] },
      ],
      [
        'absolute-mismatch-port',
        'another port: that of the target is used',
        get('http://a.test:81/x'),
        { right: [forwarded({ line: 'GET /x HTTP/1.1', fields: { host: /^a\.test(:81)?$/ } })] },
      ],
    ]),
    ...cases(
      { source: section, level: 'MUST', right: [forwarded({ line: 'GET /x HTTP/1.1', fields: { host: 'a.test' } })] },
      [
        [
          'absolute-1-0-no-host',
          'HTTP/1.0 without Host: that of the target is used',
          'GET http://a.test/x HTTP/1.0\r\n\r\n',
          { answers: 1 },
        ],
      ],
    ),
    ...cases({ source: 'RFC 9112 section 3.2', level: 'MUST', right: [refused(400)] }, [
      ['absolute-no-host', 'absolute-form without a Host field', 'GET http://a.test/ HTTP/1.1\r\n\r\n'],
      ['absolute-two-hosts', 'absolute-form with two Host fields', get('http://a.test/', 'Host: a.test')],
    ]),
    ...cases({ source: 'RFC 9110 section 4.2.1', level: 'MUST', right: [refused(400), refused()] }, [
      ['absolute-empty-host', 'an empty host', get('http:///x')],
      ['absolute-empty-host-port', 'an empty host with a port', get('http://:80/x')],
    ]),
    ...cases({ source: 'RFC 9110 section 4.2.4', level: 'SHOULD', right: [refused(400), refused()] }, [
      ['absolute-userinfo', 'user information', get('http://u@a.test/')],
      ['absolute-password', 'user information with a password', get('http://u:p@a.test/')],
      ['absolute-userinfo-host', 'a host as user information of another', get('http://a.test@b.test/')],
    ]),
    ...cases({ source: 'RFC 9112 section 3.2', level: 'SHOULD', right: [refused(400), refused()] }, [
      ['absolute-one-slash', 'one slash behind the scheme', get('http:/a.test/')],
      ['absolute-no-scheme', 'no scheme', get('://a.test/')],
      ['absolute-bad-port', 'letters as port', get('http://a.test:8x/')],
      ['absolute-open-bracket', 'an IPv6 address without its bracket', get('http://[::1/')],
      ['absolute-blank', 'a blank in the host', get('http://a. test/')],
      ['absolute-backslash', 'a backslash behind the host', get('http://a.test\\@b.test/')],
    ]),
    ...cases(
      {
        source: 'RFC 9110 section 7.4',
        level: 'SHOULD',
        right: [refused(400, 421, 501), refused(), forwarded({ line: 'GET /x HTTP/1.1' })],
      },
      [
        ['absolute-ftp', 'a scheme that is not served', get('ftp://a.test/x')],
        ['absolute-ws', 'ws without a handshake', get('ws://a.test/x')],
        ['absolute-mailto', 'a URI without an authority', get('mailto:x')],
        ['absolute-https', 'https on a connection without TLS', get('https://a.test/x')],
      ],
    ),
    ...cases({ source: section, level: 'security', right: [refused(400), forwarded({ line: 'GET /x HTTP/1.1' })] }, [
      ['absolute-fragment', 'absolute-form with a fragment', get('http://a.test/x#y')],
      [
        'origin-fragment',
        'origin-form with a fragment (CVE-2023-45539)',
        get('/x#y'),
        { source: 'CVE-2023-45539 (HAProxy)' },
      ],
      [
        'origin-fragment-dot',
        'a fragment that hides the end of the path',
        get('/x#/../y.png'),
        { source: 'CVE-2023-45539 (HAProxy)' },
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 3.2.4', level: 'MUST', right: [forwarded({ line: 'OPTIONS * HTTP/1.1' })] }, [
      ['options-asterisk', 'OPTIONS * is forwarded', head('OPTIONS * HTTP/1.1')],
      [
        'options-absolute',
        'OPTIONS of an absolute target without a path becomes *',
        head('OPTIONS http://a.test HTTP/1.1'),
      ],
    ]),
    ...cases({ source: 'RFC 9112 section 3.2.4', level: 'MUST', right: [forwarded({ line: 'OPTIONS / HTTP/1.1' })] }, [
      ['options-slash', 'OPTIONS / stays so', head('OPTIONS / HTTP/1.1')],
      [
        'options-absolute-slash',
        'OPTIONS of an absolute target with the path /',
        head('OPTIONS http://a.test/ HTTP/1.1'),
      ],
    ]),
    ...cases({ source: 'RFC 9110 section 9.3.6', level: 'security', right: [refused(405, 501, 400), refused()] }, [
      ['connect-authority', 'CONNECT is refused', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n'],
      ['connect-other', 'CONNECT to another host', 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a.test\r\n\r\n'],
      ['connect-path', 'CONNECT with a path', head('CONNECT /x HTTP/1.1')],
      ['connect-no-port', 'CONNECT without a port', head('CONNECT a.test HTTP/1.1')],
      ['connect-body', 'CONNECT with a body', `${head('CONNECT a.test:80 HTTP/1.1', 'Content-Length: 5')}hello`],
    ]),
  ],
};
