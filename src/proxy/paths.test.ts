import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Rig, request, response } from '../../test/helpers/rig.ts';
import { type TestSettings, trusted } from '../../test/helpers/test-proxy.ts';

/** `a.test` with the prefixes `/api` and `/admin`; only the last one's backend sees the path without it. */
async function start(t: TestContext, settings: Partial<TestSettings> = {}): Promise<Rig> {
  const rig = await Rig.start(t, { backends: 3, settings });
  for (const [i, name] of ['host', 'api', 'admin'].entries()) {
    rig.backends[i]?.serve((message) => response(`${name} ${message.startLine}`));
    rig.proxy.route(i === 0 ? 'a.test' : `a.test/${name}`, [rig.backends[i]?.url ?? '']);
  }
  rig.proxy.options('a.test', { paths: '/api, /admin, /gone' });
  rig.proxy.options('a.test/admin', { stripPath: 'on' });
  return rig;
}

/** @returns the body of a response with success, which names the backend and the first line that it got; else the status. */
async function ask(rig: Rig, target: string, ...lines: string[]): Promise<string> {
  const client = await rig.send(request(`GET ${target} HTTP/1.1`, 'Connection: close', ...lines));
  await client.untilEnded();
  const [, status = ''] = /^HTTP\/1\.1 (\d+)/.exec(client.received) ?? [];
  return status === '200' ? client.received.slice(client.received.indexOf('\r\n\r\n') + 4) : status;
}

test('a request goes to the backends of the longest prefix of its path', async (t) => {
  const rig = await start(t);
  for (const [target, reply] of [
    ['/', 'host GET / HTTP/1.1'],
    ['/apis?/api', 'host GET /apis?/api HTTP/1.1'],
    ['/api', 'api GET /api HTTP/1.1'],
    ['/api/x?y=%2e', 'api GET /api/x?y=%2e HTTP/1.1'],
    ['/admin', 'admin GET / HTTP/1.1'],
    ['/admin?x', 'admin GET /?x HTTP/1.1'],
    ['/admin/users/1?x', 'admin GET /users/1?x HTTP/1.1'],
    ['http://a.test/api', 'api GET /api HTTP/1.1'],
  ] as const) {
    assert.equal(await ask(rig, target), reply, target);
  }
});

test('backends get the path by which they were chosen, and no path has two meanings', async (t) => {
  const rig = await start(t);
  for (const [target, reply] of [
    ['/%61dmin/x', 'admin GET /x HTTP/1.1'],
    ['/api/../admin/x', 'admin GET /x HTTP/1.1'],
    ['/admin/../x', 'host GET /x HTTP/1.1'],
    ['/api/%2e%2e/x', 'host GET /x HTTP/1.1'],
    ['/admin//evil.test/x', 'admin GET /evil.test/x HTTP/1.1'],
    ['/api/group%2Fproject', 'api GET /api/group%2Fproject HTTP/1.1'],
    ['/a;b/c%20d', 'host GET /a;b/c%20d HTTP/1.1'],
  ] as const) {
    assert.equal(await ask(rig, target), reply, target);
  }
  const before = rig.backends.map(({ received }) => received);
  for (const target of ['//admin', '/x/..;/admin', '/x%2f..%2fadmin', '/x\\..\\admin', '/%2561dmin', '/admin;a/b']) {
    assert.equal(await ask(rig, target), '400', target);
  }
  assert.deepEqual(
    rig.backends.map(({ received }) => received),
    before,
  );
});

test('a prefix without a route is not served by its host', async (t) => {
  const rig = await start(t);
  assert.equal(await ask(rig, '/gone/x'), '400');
  assert.equal(rig.proxy.ended[0]?.errorCode, 'ROUTE_NOT_FOUND');
});

test('the prefix that a backend does not see is in a field that no client can set', async (t) => {
  const rig = await start(t, { trustedProxies: trusted('127.0.0.1') });
  await ask(rig, '/admin/x', 'X-Forwarded-Prefix: /forged', 'X_Forwarded_Prefix: /forged');
  const [got] = rig.backends[2]?.requests ?? [];
  assert.deepEqual(
    got?.fields.filter(([name]) => /prefix/i.test(name)),
    [['X-Forwarded-Prefix', '/admin']],
  );
});

test('a sticky client of a path has a cookie for that path alone', async (t) => {
  const rig = await start(t);
  rig.proxy.options('a.test/api', { sticky: 'on' });
  const client = await rig.send(request('GET /api/x HTTP/1.1', 'Connection: close'));
  await client.untilEnded();
  assert.match(client.received, /^Set-Cookie: hipache_backend=[0-9a-f]{16}; Path=\/api; HttpOnly/m);
});
