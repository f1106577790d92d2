import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { values } from '../helpers/reference-parser.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

/** A trusted proxy is the peer: it says who the client is, and whether it uses https. */
const behindProxy: RigOptions = { settings: { trustedProxies: trusted('127.0.0.1') } };

async function start(t: TestContext, options: Readonly<Record<string, string>>, rigOptions?: RigOptions): Promise<Rig> {
  const rig = await Rig.start(t, rigOptions);
  rig.backend.serve(() => response('from the backend', '200 OK', 'X-Powered-By: test', 'X_Under_Score: 1'));
  rig.proxy.options('a.test', options);
  return rig;
}

describe('allow and deny', () => {
  const from = (address: string) => `X-Forwarded-For: ${address}`;
  const cases = [
    { options: { allow: '10.0.0.0/8' }, client: '10.1.2.3', passes: true },
    { options: { allow: '10.0.0.0/8' }, client: '11.1.2.3', passes: false },
    { options: { allow: '10.0.0.0/8, 192.0.2.7' }, client: '192.0.2.7', passes: true },
    { options: { allow: '10.0.0.0/8', deny: '10.1.0.0/16' }, client: '10.1.2.3', passes: false },
    { options: { deny: '2001:db8::/32' }, client: '2001:db8:1::5', passes: false },
    { options: { deny: '2001:db8::/32' }, client: '2001:db9::5', passes: true },
    { options: { allow: '10.0.0.0/8' }, client: '::ffff:10.1.2.3', passes: true },
    { options: { allow: 'any', deny: 'none' }, client: '203.0.113.9', passes: true },
  ];
  for (const { client, options, passes } of cases) {
    test(`${JSON.stringify(options)}: ${client} ${passes ? 'passes' : 'is refused'}`, async (t) => {
      const rig = await start(t, options, behindProxy);
      const received = await rig.ask(get('/', from(client)));
      assert.match(
        received,
        passes ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 403 Forbidden\r\n.*\r\nx-hipache-error: ACCESS_DENIED\r\n/s,
      );
      assert.equal(rig.backend.requests.length, passes ? 1 : 0);
      assert.equal(rig.proxy.ended[0]?.errorCode, passes ? null : 'ACCESS_DENIED');
    });
  }

  test('a client cannot claim an address that it does not have', async (t) => {
    const rig = await start(t, { allow: '10.0.0.0/8' });
    const received = await rig.ask(get('/', from('10.1.2.3'), 'X-Real-IP: 10.1.2.3', 'Forwarded: for=10.1.2.3'));
    assert.match(received, /^HTTP\/1\.1 403 /);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('a list of nothing but wrong items allows nobody', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.looseOptions('a.test', { allow: '10.0.0.0/33, office' });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 403 /);
  });

  test('a refused request with a body leaves the connection in a state in which nothing is read as a request', async (t) => {
    const rig = await start(t, { deny: '127.0.0.0/8' });
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 300')}${get('/smuggled')}`);
    await client.expect(/^HTTP\/1\.1 403 /);
    await client.untilEnded();
    assert.equal(client.received.match(/HTTP\/1\.1/g)?.length, 1);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('a WebSocket handshake is refused as well', async (t) => {
    const rig = await start(t, { deny: '127.0.0.0/8' });
    const handshake = request(
      'GET /ws HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    assert.match(await rig.ask(handshake), /^HTTP\/1\.1 403 /);
    assert.equal(rig.proxy.frontend('a.test').load.tunnels, 0);
  });
});

describe('redirects', () => {
  const locationOf = (received: string): string => /\r\nlocation: (.*)\r\n/.exec(received)?.[1] ?? '';
  const statusOf = (received: string): number => Number(received.slice(9, 12));
  const secure = 'X-Forwarded-Proto: https';
  const cases: readonly [
    name: string,
    options: Record<string, string>,
    text: string,
    status: number,
    location: string,
  ][] = [
    ['to https', { https: 'redirect' }, get('/a/b?c=%20d'), 301, 'https://a.test/a/b?c=%20d'],
    [
      'of a POST keep the method',
      { https: 'redirect' },
      request('POST /p HTTP/1.1', 'Content-Length: 0'),
      308,
      'https://a.test/p',
    ],
    ['have the status that is set', { https: 'redirect', redirectStatus: '307' }, get('/'), 307, 'https://a.test/'],
    ['to another host', { redirect: 'www.b.test' }, get('/x?y'), 301, 'http://www.b.test/x?y'],
    ['keep https', { redirect: 'www.b.test' }, get('/x', secure), 301, 'https://www.b.test/x'],
    ['to a scheme, a host and a port', { redirect: 'https://b.test:8443' }, get('/'), 301, 'https://b.test:8443/'],
    [
      'leave encoded and doubled slashes as they are',
      { redirect: 'b.test' },
      get('//evil.test/%2e%2e/%2F'),
      301,
      'http://b.test//evil.test/%2e%2e/%2F',
    ],
    ['of OPTIONS * are to the root', { redirect: 'b.test' }, request('OPTIONS * HTTP/1.1'), 308, 'http://b.test/'],
    ['to https precede those to a host', { https: 'redirect', redirect: 'b.test' }, get('/'), 301, 'https://a.test/'],
  ];
  for (const [name, options, text, status, location] of cases) {
    test(name, async (t) => {
      const rig = await start(t, options, behindProxy);
      const received = await rig.ask(text);
      assert.deepEqual([statusOf(received), locationOf(received)], [status, location]);
      assert.equal(rig.backend.requests.length, 0);
      assert.deepEqual([rig.proxy.ended[0]?.status, rig.proxy.ended[0]?.errorCode], [status, null]);
    });
  }

  test('a client that uses https already is not redirected, whichever proxy ends its TLS', async (t) => {
    const rig = await start(t, { https: 'redirect' }, behindProxy);
    assert.match(await rig.ask(get('/', secure)), /^HTTP\/1\.1 200 /);
  });

  test('an untrusted client cannot claim https', async (t) => {
    const rig = await start(t, { https: 'redirect' });
    assert.match(await rig.ask(get('/', secure, 'Forwarded: proto=https')), /^HTTP\/1\.1 301 /);
  });

  for (const redirect of ['A.test', 'a.test:8080', 'http://a.test', 'http://a.test:8080', 'a.test.']) {
    test(`a host that redirects to itself (${redirect}) is served, also with https redirect`, async (t) => {
      const rig = await start(t, { redirect }, behindProxy);
      for (const text of [get('/'), get('/', secure)]) assert.match(await rig.ask(text), /^HTTP\/1\.1 200 /);
      rig.proxy.options('a.test', { redirect, https: 'redirect' });
      assert.equal(locationOf(await rig.ask(get('/'))), 'https://a.test/');
      assert.match(await rig.ask(get('/', secure)), /^HTTP\/1\.1 200 /);
    });
  }

  test('to https of the host itself ends there', async (t) => {
    const rig = await start(t, { redirect: 'https://a.test:8443' }, behindProxy);
    assert.equal(locationOf(await rig.ask(get('/'))), 'https://a.test:8443/');
    assert.match(await rig.ask(get('/', secure)), /^HTTP\/1\.1 200 /);
  });

  test('challenges for a certificate are not redirected to https', async (t) => {
    const rig = await start(t, { https: 'redirect' });
    const path = '/.well-known/acme-challenge/token';
    assert.match(await rig.ask(get(path)), /^HTTP\/1\.1 200 /);
    assert.equal(rig.backend.requests[0]?.startLine, `GET ${path} HTTP/1.1`);
    assert.match(await rig.ask(get('/.well-known/acme-challenge')), /^HTTP\/1\.1 301 /);
  });

  test('a request that names no host is served', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    rig.proxy.route('*', [rig.backend.url]);
    rig.proxy.options('*', { https: 'redirect' });
    assert.match(await rig.ask('GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 200 /);
  });

  test('the health check of the proxy is not redirected', async (t) => {
    const rig = await start(t, { https: 'redirect' });
    const client = await rig.send('GET / HTTP/1.1\r\nHost: __ping__\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 200 /);
  });
});

describe('maintenance', () => {
  test('responds with 503 and Retry-After, and asks no backend', async (t) => {
    const rig = await start(t, { maintenance: 'on' });
    const received = await rig.ask(get('/', 'Accept: application/json'));
    assert.match(received, /^HTTP\/1\.1 503 .*\r\nx-hipache-error: MAINTENANCE\r\nretry-after: 300\r\n/s);
    assert.match(received, /\{"status":503,"error":"MAINTENANCE","message":"down for maintenance"\}/);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('lets through those who are allowed', async (t) => {
    const rig = await start(t, { maintenance: 'on', maintenanceAllow: '127.0.0.1', retryAfter: '0s' });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
    rig.proxy.options('a.test', { maintenance: 'on', maintenanceAllow: '10.0.0.1', retryAfter: '0s' });
    assert.doesNotMatch(await rig.ask(get('/')), /retry-after/);
  });

  test('of a keep-alive connection ends with the option', async (t) => {
    const rig = await start(t, { maintenance: 'on' });
    const client = await rig.send(get('/'));
    await client.expect('down for maintenance');
    rig.proxy.options('a.test', { maintenance: 'off' });
    client.send(get('/'));
    await client.expect('from the backend');
  });
});

describe('fields', () => {
  test('of requests are set, added and dropped, also in the spelling with underscores', async (t) => {
    const changes = ['X-Tenant: seven', '+Cookie: extra=1', 'X-Secret:', 'User-Agent: hidden'].join('\n');
    const rig = await start(t, { requestFields: changes });
    const sent = [
      'X_Tenant: forged',
      'x-tenant: forged',
      'Cookie: own=1',
      'X_SECRET: 1',
      'User-Agent: me',
      'X-Kept: 1',
    ];
    await rig.ask(get('/', ...sent));
    const [message] = rig.backend.requests;
    const all = (name: string) => values(message?.fields ?? [], name);
    assert.deepEqual(all('x-tenant'), ['seven']);
    assert.deepEqual(all('x_tenant'), []);
    assert.deepEqual(all('cookie'), ['own=1', 'extra=1']);
    assert.deepEqual([all('x-secret'), all('x_secret'), all('x-kept')], [[], [], ['1']]);
    assert.deepEqual(all('user-agent'), ['hidden']);
  });

  test('that a client nominates in Connection are still set', async (t) => {
    const rig = await start(t, { requestFields: 'X-Tenant: seven' });
    await rig.ask(get('/', 'Connection: X-Tenant', 'X-Tenant: forged'));
    assert.deepEqual(values(rig.backend.requests[0]?.fields ?? [], 'x-tenant'), ['seven']);
  });

  test('of responses are set, added and dropped', async (t) => {
    const rig = await start(t, {
      responseFields: 'x-powered-by:\nx-under-score:\nX-Frame-Options: DENY\n+Vary: Cookie',
    });
    const received = await rig.ask(get('/'));
    assert.doesNotMatch(received, /powered|under_score/i);
    assert.match(received, /\r\nX-Frame-Options: DENY\r\nVary: Cookie\r\n/);
    assert.match(received, /from the backend$/);
  });

  test('of the connection, of the framing and of the identity of the client cannot be changed', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const names = [
      'Host',
      'Connection',
      'Content-Length',
      'Transfer-Encoding',
      'X-Forwarded-For',
      'X_Forwarded_For',
      'Te',
    ];
    rig.proxy.looseOptions('a.test', { requestFields: [...names.map((name) => `${name}: 5`), 'X-Ok: 1'].join('\n') });
    await rig.ask(get('/'));
    const [message] = rig.backend.requests;
    assert.deepEqual(values(message?.fields ?? [], 'x-ok'), ['1']);
    assert.ok(!(message?.fields ?? []).some(([, value]) => value === '5'));
  });

  test('HSTS is sent to clients that use https, in place of what the backend says, also in local replies', async (t) => {
    const rig = await Rig.start(t, behindProxy);
    rig.backend.serve(() => response('ok', '200 OK', 'Strict-Transport-Security: max-age=1'));
    rig.proxy.options('a.test', { hsts: '180d includeSubDomains' });
    const hsts = (received: string) => received.match(/strict-transport-security: .*/gi);
    const secure = get('/', 'X-Forwarded-Proto: https');
    assert.deepEqual(hsts(await rig.ask(secure)), ['Strict-Transport-Security: max-age=15552000; includeSubDomains']);
    assert.deepEqual(hsts(await rig.ask(get('/'))), ['Strict-Transport-Security: max-age=1']);
    rig.proxy.options('a.test', { hsts: '1h', maintenance: 'on' });
    assert.deepEqual(hsts(await rig.ask(secure)), ['Strict-Transport-Security: max-age=3600']);
    assert.equal(hsts(await rig.ask(get('/'))), null);
  });

  test('Host is that of the backend, or the one that is set; the client is in X-Forwarded-Host', async (t) => {
    const rig = await start(t, { backendHost: 'backend' });
    await rig.ask(get('/'));
    rig.proxy.options('a.test', { backendHost: 'app.internal:8080' });
    await rig.ask(get('/'));
    await rig.ask('GET / HTTP/1.1\r\nhOsT: a.test\r\nhost-x: 1\r\n\r\n');
    const hosts = rig.backend.requests.map(({ fields }) => values(fields, 'host'));
    assert.deepEqual(hosts, [[rig.backend.url.slice(7)], ['app.internal:8080'], ['app.internal:8080']]);
    for (const { fields } of rig.backend.requests) assert.deepEqual(values(fields, 'x-forwarded-host'), ['a.test']);
  });
});

describe('times', () => {
  test('responseTimeout is that of the host', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { responseTimeout: '300ms', retriesMax: '0' });
    const received = await rig.ask(get('/'));
    assert.match(received, /^HTTP\/1\.1 504 .*\r\nx-hipache-error: BACKEND_TIMEOUT\r\n/s);
  });

  test('responseIdle is that of the host', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { responseIdle: '300ms' });
    rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning');
    const client = await rig.send(get('/'));
    await client.expect('beginning');
    await client.untilEnded();
    assert.equal(rig.proxy.ended[0]?.errorCode, 'BACKEND_RESPONSE_SILENT');
  });

  test('tunnelIdle is that of the host', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { tunnelIdle: '300ms' });
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    const client = await rig.send(
      request(
        'GET /ws HTTP/1.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${key}`,
      ),
    );
    const backend = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    backend.send(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    await client.expect('101 Switching');
    await until('the end of the tunnel', () => rig.proxy.ended.length === 1);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'TUNNEL_IDLE');
  });
});

describe('basicAuth', () => {
  const basic = (text: string): string => `Authorization: Basic ${Buffer.from(text).toString('base64')}`;
  /** The check of the test: a hash ends with its password. */
  const users = 'ann:$2b$secret\nbob:$argon2id$pass:word';

  test('asks for credentials, and lets through those who have right ones', async (t) => {
    const rig = await start(t, { basicAuth: users });
    for (const lines of [
      [],
      [basic('ann:wrong')],
      [basic('eve:secret')],
      [basic('ann')],
      ['Authorization: Basic %%%'],
      ['Authorization: Bearer x'],
    ]) {
      const received = await rig.ask(get('/', ...lines));
      assert.match(
        received,
        /^HTTP\/1\.1 401 Unauthorized\r\n.*\r\nx-hipache-error: CREDENTIALS_REQUIRED\r\nwww-authenticate: Basic realm="a\.test", charset="UTF-8"\r\n/s,
      );
    }
    assert.equal(rig.backend.requests.length, 0);
    for (const line of [basic('ann:secret'), basic('bob:pass:word'), basic('ann:secret').replace('Basic', 'bASIC')]) {
      assert.match(await rig.ask(get('/', line)), /^HTTP\/1\.1 200 /);
    }
    assert.equal(rig.backend.requests.length, 3);
  });

  test('checks right credentials once, and wrong ones each time', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    let checks = 0;
    rig.proxy.checkPassword = async (password) => {
      checks++;
      return password === 'secret';
    };
    rig.proxy.options('a.test', { basicAuth: users });
    for (let i = 0; i < 3; i++) await rig.ask(get('/', basic('ann:secret')));
    assert.equal(checks, 1);
    for (let i = 0; i < 3; i++) await rig.ask(get('/', basic('ann:no')));
    assert.equal(checks, 4);
  });

  test('holds the body back while it checks, and sends it once after that', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    rig.proxy.checkPassword = () => promise;
    rig.proxy.options('a.test', { basicAuth: users });
    const client = await rig.send(`${request('POST / HTTP/1.1', basic('ann:x'), 'Content-Length: 10')}01234`);
    client.send('56789');
    resolve(true);
    await client.expect(/^HTTP\/1\.1 200 /);
    assert.match(rig.backend.received, /\r\n\r\n0123456789$/);
  });

  test('lets nobody in if the check fails, or if no line is right', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.checkPassword = async () => {
      throw new Error('busy');
    };
    rig.proxy.options('a.test', { basicAuth: users });
    assert.match(await rig.ask(get('/', basic('ann:secret'))), /^HTTP\/1\.1 503 /);
    rig.proxy.checkPassword = async () => true;
    rig.proxy.looseOptions('a.test', { basicAuth: 'ann:plain' });
    assert.match(await rig.ask(get('/', basic('ann:plain'))), /^HTTP\/1\.1 401 /);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('ends with a client that leaves during the check', async (t) => {
    const rig = await Rig.start(t);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    rig.proxy.checkPassword = () => promise;
    rig.proxy.options('a.test', { basicAuth: users });
    const client = await rig.send(get('/', basic('ann:x')));
    await until('the request', () => rig.proxy.dataPlane.counters.requests === 1);
    client.close();
    await until('the end', () => rig.proxy.ended.length === 1);
    resolve(true);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
    assert.equal(rig.backend.requests.length, 0);
  });
});

describe('requestBodyMax', () => {
  test('refuses a longer body by its length, before a backend is asked', async (t) => {
    const rig = await start(t, { requestBodyMax: '10' });
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 11'));
    await client.expect(/^HTTP\/1\.1 413 Content Too Large\r\n.*REQUEST_BODY_TOO_LARGE/s);
    assert.equal(rig.backend.requests.length, 0);
    const fits = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 10')}0123456789`);
    await fits.expect(/^HTTP\/1\.1 200 /);
  });

  test('refuses a chunked body once it is longer, and the backend never sees its end', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { requestBodyMax: '10' });
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}8\r\n01234567\r\n`);
    await rig.backend.receive('01234567');
    client.send('8\r\n01234567\r\n0\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 413 /);
    assert.doesNotMatch(rig.backend.received, /0\r\n\r\n$/);
  });

  test('refuses a chunked body once, also if more of it comes with the chunk that is too long', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { requestBodyMax: '10' });
    const client = await rig.send(
      `${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}${'8\r\n01234567\r\n'.repeat(5)}0\r\n\r\n`,
    );
    await client.expect(/^HTTP\/1\.1 413 .*REQUEST_BODY_TOO_LARGE/s);
    await until('the end', () => rig.proxy.ended.length > 0);
    assert.deepEqual(
      rig.proxy.ended.map(({ errorCode }) => errorCode),
      ['REQUEST_BODY_TOO_LARGE'],
    );
  });
});
