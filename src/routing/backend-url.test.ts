import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backendIdentity, parseBackendUrl, readBackendUrl } from './backend-url.ts';

test('a backend URL has host, port and weight', () => {
  assert.deepEqual(parseBackendUrl('http://10.0.0.1:8080'), {
    url: 'http://10.0.0.1:8080',
    hostname: '10.0.0.1',
    port: 8080,
    weight: 1,
    secure: false,
    isHttp2: false,
    serverName: '10.0.0.1',
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    fragment: '',
  });
  assert.deepEqual(parseBackendUrl('HTTP://App_1.Internal/#weight=1000'), {
    url: 'HTTP://App_1.Internal/',
    hostname: 'app_1.internal',
    port: 80,
    weight: 1000,
    secure: false,
    isHttp2: false,
    serverName: 'app_1.internal',
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    fragment: '#weight=1000',
  });
  assert.deepEqual(parseBackendUrl('http://[::1]:3000#weight=2'), {
    url: 'http://[::1]:3000',
    hostname: '::1',
    port: 3000,
    weight: 2,
    secure: false,
    isHttp2: false,
    serverName: '::1',
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    fragment: '#weight=2',
  });
  assert.equal(parseBackendUrl('http://[::1]').port, 80);
});

test('a backend on a Unix socket has the path of the socket', () => {
  assert.deepEqual(parseBackendUrl('http+unix://%2Frun%2FMy%20app.sock#weight=2'), {
    url: 'http+unix://%2Frun%2FMy%20app.sock',
    hostname: '/run/My app.sock',
    port: 0,
    weight: 2,
    secure: false,
    isHttp2: false,
    serverName: '/run/My app.sock',
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    fragment: '#weight=2',
  });
  assert.equal(parseBackendUrl('HTTP+UNIX://%2fa/').hostname, '/a');
  assert.match(String(readBackendUrl('http+unix://%2Fa/v1').target?.hostname), /^\/a$/);
  for (const [value, problem] of [
    ['unix:/run/app.sock', /a Unix socket is written as http\+unix:\/\/%2Frun%2Fapp\.sock/],
    ['unix:///run/app.sock', /is written as/],
    ['http+unix:///run/app.sock', /is written as/],
    ['https+unix://%2Frun%2Fapp.sock', /is written as/],
    ['http+unix://run%2Fapp.sock', /"run\/app\.sock" is not an absolute path/],
    ['http+unix://%2Frun%2Fapp.sock:80', /has no port/],
    ['http+unix://%2Frun%2', /is not percent-encoded/],
    ['http+unix://%2Frun%ff', /is not percent-encoded/],
    ['http+unix://%2Frun%00', /NUL/],
    [`http+unix://%2F${'a'.repeat(107)}`, /longer than 107 bytes/],
    ['http+unix://%2Fa#servername=a', /servername would be ignored/],
    ['http+unix://%2Fa/v1', /path .* would be ignored/],
  ] as const) {
    assert.throws(() => parseBackendUrl(value), problem, value);
  }
});

test('of a setting that is repeated the last counts, and only that is kept', () => {
  const target = parseBackendUrl('https://a#weight=2&servername=b.test&weight=3');
  assert.equal(target.weight, 3);
  assert.equal(target.fragment, '#weight=3&servername=b.test');
});

test('h2, h2c and h2c+unix are HTTP/2', () => {
  const read = (url: string): readonly unknown[] => {
    const { hostname, isHttp2, port, secure, serverName } = parseBackendUrl(url);
    return [hostname, port, secure, serverName, isHttp2];
  };
  assert.deepEqual(read('h2://app.internal#servername=b.test'), ['app.internal', 443, true, 'b.test', true]);
  assert.deepEqual(read('h2c://app.internal'), ['app.internal', 80, false, 'app.internal', true]);
  assert.deepEqual(read('h2c+unix://%2Frun%2Fapp.sock'), ['/run/app.sock', 0, false, '/run/app.sock', true]);
  // A host of this name, as PlanB writes it.
  assert.equal(readBackendUrl('h2:8080').target?.hostname, 'h2');
  assert.throws(() => parseBackendUrl('h2c://a#servername=b.test'), /#servername would be ignored without https/);
});

test('https implies port 443 and a certificate name', () => {
  assert.deepEqual(parseBackendUrl('https://App.Internal'), {
    url: 'https://App.Internal',
    hostname: 'app.internal',
    port: 443,
    weight: 1,
    secure: true,
    isHttp2: false,
    serverName: 'app.internal',
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    fragment: '',
  });
  const { hostname, serverName, weight } = parseBackendUrl('https://10.0.0.1:8443#weight=3&servername=App.Internal');
  assert.deepEqual([hostname, serverName, weight], ['10.0.0.1', 'app.internal', 3]);
  for (const value of [
    'https://a#servername=',
    'https://a#servername=a b',
    'https://a#servername=a:1',
    'http://a#servername=a',
  ]) {
    assert.throws(() => parseBackendUrl(value), { code: 'COMMAND_INVALID', message: /servername/ });
  }
});

test('unusable URLs are refused by both readers, with a reason', () => {
  for (const [value, problem] of [
    ['', /http:\/\/host:port/],
    ['10.0.0.1', /http:\/\/host:port/],
    ['web', /http:\/\/host:port/],
    ['user:80@web:80', /http:\/\/host:port/],
    ['web:80/path', /http:\/\/host:port/],
    ['http:80', /http:\/\/host:port/],
    ['web:http', /http:\/\/host:port/],
    ['web:0', /port "0"/],
    ['a b:80', /http:\/\/host:port/],
    ['::1:80', /brackets/],
    ['unix:///run/web.sock', /written as/],
    ['http://', /no host/],
    ['http:///path', /no host/],
    ['http://a:0', /port "0"/],
    ['http://a:65536', /port "65536"/],
    ['http://a:http', /port "http"/],
    ['http://::1:80', /brackets/],
    ['http://a b', /not a host/],
    ['http://a\\b', /not a host/],
    ['http://a,b', /not a host/],
    ['http://bücher', /not a host/],
    ['http://a\r\nHost: b', /not a host/],
    [` http://a`, /http:\/\/host:port/],
    [`http://${'a'.repeat(3000)}`, /longer/],
  ] as const) {
    const reading = readBackendUrl(value);
    assert.equal(reading.target, null, value);
    assert.match(reading.target === null ? reading.problem : '', problem, value);
    assert.throws(() => parseBackendUrl(value), { code: 'COMMAND_INVALID', message: problem });
  }
});

test('what Hipache 0.4 ignored is ignored in records, and refused from operators', () => {
  for (const [value, url, weight, problem] of [
    ['http://a:80/app', 'http://a:80/app', 1, /path "\/app"/],
    ['http://a:80?x=1', 'http://a:80?x=1', 1, /path/],
    ['http://user:secret@a:80', 'http://a:80', 1, /user and password/],
    ['http://a#weight=0', 'http://a', 1, /weight=1000/],
    ['http://a#weight=1001', 'http://a', 1, /weight=1000/],
    ['http://a#weight=1.5', 'http://a', 1, /weight=1000/],
    ['http://a#other', 'http://a', 1, /weight=1000/],
  ] as const) {
    const reading = readBackendUrl(value);
    assert.ok(reading.target !== null, value);
    assert.equal(reading.target.url, url);
    assert.equal(reading.target.weight, weight);
    assert.match(reading.ignored ?? '', problem);
    assert.throws(() => parseBackendUrl(value), { code: 'COMMAND_INVALID', message: problem });
  }
});

test('a backend with another scheme, or none, is read as http', () => {
  for (const [value, url, hostname, port, ignored] of [
    ['tcp://127.0.0.1:9001', 'tcp://127.0.0.1:9001', '127.0.0.1', 9001, 'the scheme "tcp"'],
    ['htp://Web', 'htp://Web', 'web', 80, 'the scheme "htp"'],
    ['wss://web', 'wss://web', 'web', 80, 'the scheme "wss"'],
    ['127.0.0.1:9001', '127.0.0.1:9001', '127.0.0.1', 9001, 'the lack of a scheme'],
    ['web-1:80', 'web-1:80', 'web-1', 80, 'the lack of a scheme'],
    ['[::1]:80', '[::1]:80', '::1', 80, 'the lack of a scheme'],
  ] as const) {
    const reading = readBackendUrl(`${value}#weight=2`);
    assert.ok(reading.target !== null, value);
    const { target } = reading;
    assert.deepEqual([target.url, target.hostname, target.port, target.secure], [url, hostname, port, false]);
    assert.equal(target.weight, 2);
    const hostPort = value.replace(/^.*:\/\//, '');
    assert.equal(reading.ignored, `${ignored} is ignored, and the backend read as http://${hostPort}`);
    assert.equal(backendIdentity(target.url), target.url);
    const refusal = `${ignored} would be ignored, and the backend read as http://${hostPort}; write a backend as http://`;
    assert.throws(
      () => parseBackendUrl(value),
      (error: Error) => error.message.includes(refusal),
    );
  }
});

test('a password appears in no message and no identity', () => {
  assert.throws(
    () => parseBackendUrl('http://user:secret@a:80'),
    (error: Error) => !error.message.includes('secret'),
  );
  assert.equal(backendIdentity('http://user:secret@a:80#weight=2'), 'http://a:80');
});

test('the identity of a URL is itself without its weight', () => {
  assert.equal(backendIdentity('http://a:80#weight=3'), 'http://a:80');
  assert.equal(backendIdentity('http://a:80'), 'http://a:80');
  assert.equal(backendIdentity('not a url'), 'not a url');
});

test('the reader does not throw, whatever a record contains', () => {
  for (const value of [null, undefined, 1, true, {}, [], { toString: null }, '__proto__', Symbol('x'), 1n]) {
    assert.equal(readBackendUrl(value).target, null);
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.anything(),
        fc.webUrl(),
        fc.string().map((text) => `http://${text}`),
      ),
      (value) => {
        const reading = readBackendUrl(value);
        if (reading.target === null) return;
        assert.ok(reading.target.port >= 1 && reading.target.port <= 65535);
        assert.ok(reading.target.weight >= 1 && reading.target.weight <= 1000);
        assert.equal(backendIdentity(reading.target.url), reading.target.url);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a backup is one that the URL says to be one, among its other settings', () => {
  const { fragment, isBackup, url, weight } = parseBackendUrl('http://a:1#weight=2&backup');
  assert.deepEqual([url, isBackup, weight, fragment], ['http://a:1', true, 2, '#weight=2&backup']);
  assert.equal(parseBackendUrl('http+unix://%2Fa#backup').isBackup, true);
  assert.equal(parseBackendUrl('http://a:1#backup&backup').fragment, '#backup');
  assert.equal(backendIdentity('http://a:1#backup'), 'http://a:1');
  for (const wrong of ['backup=x', 'backup=', 'backup=1', 'Backup', 'backups']) {
    const reading = readBackendUrl(`http://a:1#${wrong}&weight=3`);
    assert.ok(reading.target !== null && reading.ignored !== null, wrong);
    assert.deepEqual([reading.target.isBackup, reading.target.weight], [false, 3]);
    assert.throws(() => parseBackendUrl(`http://a:1#${wrong}`), { code: 'COMMAND_INVALID' });
  }
  const { ignored } = readBackendUrl('http://a:1#backup=x') as { ignored: string };
  assert.equal(ignored, '"#backup=x" is not #backup; the backend is none');
});

test('a canary has a share of 0.1 to 99.9 percent with at most one decimal', () => {
  for (const [text, share] of [
    ['5', 5],
    ['0.1', 0.1],
    ['99.9', 99.9],
    ['12.5', 12.5],
    ['5.0', 5],
  ] as const) {
    const { canaryShare, fragment, url } = parseBackendUrl(`http://a:1#canary=${text}&weight=2`);
    assert.deepEqual([url, canaryShare, fragment], ['http://a:1', share, `#canary=${share}&weight=2`]);
  }
  for (const text of ['0', '0.0', '100', '05', '5%', '0.05', '.5', '5.', '-1', '1e1', '', '99.95']) {
    const reading = readBackendUrl(`http://a:1#canary=${text}&weight=3`);
    assert.deepEqual([reading.target?.canaryShare, reading.target?.weight], [null, 3]);
    assert.match(
      (reading as { ignored: string }).ignored,
      /is not #canary=0\.1 to #canary=99\.9; the backend is no canary$/,
    );
    assert.throws(() => parseBackendUrl(`http://a:1#canary=${text}`), /no canary/);
  }
  assert.throws(() => parseBackendUrl('http://a:1#canary'), /"#canary" lacks its share/);
});
