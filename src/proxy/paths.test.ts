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

/** Paths that servers may take for `/admin`, or for another one: the rule of `/admin` is asked, or 400, or the host's backend. */
const disguised: readonly (readonly [target: string, reply: string])[] = [
  ['/admin', 'rule'],
  ['/admin?x', 'rule'],
  ['/%61dmin', 'rule'],
  ['/%61%64%6D%69%6e/x', 'rule'],
  ['/./admin', 'rule'],
  ['/%2e/admin', 'rule'],
  ['/x/../admin', 'rule'],
  ['/../admin', 'rule'],
  ['/api/../admin', 'rule'],
  ['/public/%2e%2e/admin', 'rule'],
  ['/public/.%2E/%61dmin', 'rule'],
  ['/admin/.', 'rule'],
  ['/admin/x/..', 'rule'],
  ['http://a.test/admin', 'rule'],
  ['HTTP://A.TEST:80/%61dmin', 'rule'],
  ['http://a.test/x/../admin', 'rule'],
  ['//admin', '400'],
  ['///admin', '400'],
  ['/.//admin', '400'],
  ['/..;/admin', '400'],
  ['/x/..;v=1/admin', '400'],
  ['/admin/..;/', '400'],
  ['/x/%2e%2e%3b/admin', '400'],
  ['/;/admin', '400'],
  ['/admin;v=1', '400'],
  ['/%2fadmin', '400'],
  ['/admin%2f', '400'],
  ['/admin%2Fx', '400'],
  ['/admin%2f..', '400'],
  ['/admin%2f..%2fx', '400'],
  ['/a/..%2fadmin', '400'],
  ['/a%2f..%2fadmin', '400'],
  ['/a%2f../admin', '400'],
  ['/admin/..%2f', '400'],
  ['/%2561dmin', '400'],
  ['/x/%252e%252e/admin', '400'],
  ['/admin%20', '400'],
  ['/admin%00', '400'],
  ['/admin%09/x', '400'],
  ['/admin%23', '400'],
  ['/admin%3fx', '400'],
  ['/admin#', '400'],
  ['/x#/../admin', '400'],
  ['/%c0%afadmin', '400'],
  ['/x/%c0%ae%c0%ae/admin', '400'],
  ['/%u0061dmin', '400'],
  ['\\admin', '400'],
  ['/\\admin', '400'],
  ['/x\\..\\admin', '400'],
  ['/admin\\', '400'],
  ['/%5cadmin', '400'],
  ['/admin%5c', '400'],
  ['admin', '400'],
  ['./admin', '400'],
  ['http://a.test//admin', '400'],
  ['http://a.test/..;/admin', '400'],
  ['http://a.test\\admin', '400'],
  ['http:/admin', '400'],
  ['//a.test/admin', '400'],
  ['//x/admin', '400'],
  ['/.//x/admin', '400'],
  ['/\\x/admin', '400'],
  ['http://a.test//x/admin', '400'],
  ['/x%3f%2f..%2fadmin', '400'],
  ['/x%23%2f..%2fadmin', '400'],
  ['/q%2f..%2fadmin%2fs%2f%252e%252e%2f%252e%252e%2f..%2f..', '400'],
  ['/q%2f..%2fadmin%2fs%2f;%2f;%2f..%2f..', '400'],
  ['/q%2f..%2fadmin%2fs%2f\\%2f\\%2f..%2f..', '400'],
  ['/q%2f..%2fadmin%2f%2f..%2fx', '400'],
  ['/;%3f/admin', '400'],
  ['/;%2fx/admin', '400'],
  ['/;\\x/admin', '400'],
  ['/x%3f/..;/admin', '400'],
  ['/;%25/admin', '400'],
  ['/ADMIN', 'host GET /ADMIN HTTP/1.1'],
  ['/%41dmin', 'host GET /Admin HTTP/1.1'],
  ['/administrator', 'host GET /administrator HTTP/1.1'],
  ['/admin/../x', 'host GET /x HTTP/1.1'],
  ['/x/admin', 'host GET /x/admin HTTP/1.1'],
  ['/x//../admin', 'host GET /x/admin HTTP/1.1'],
  ['/x?/../admin', 'host GET /x?/../admin HTTP/1.1'],
  ['http://a.test?/../admin', 'host GET /?/../admin HTTP/1.1'],
];

for (const [option, value, status] of [
  ['allow', '10.9.9.9', '403'],
  ['basicAuth', `ann:$2a$05$${'.'.repeat(53)}`, '401'],
] as const) {
  test(`no way to write a path leads around the ${option} of its prefix`, async (t) => {
    const rig = await start(t);
    rig.proxy.options('a.test/admin', { [option]: value });
    for (const [target, reply] of disguised) {
      assert.equal(await ask(rig, target), reply === 'rule' ? status : reply, target);
    }
    const [host, api, admin] = rig.backends.map(({ received }) => received);
    assert.deepEqual([api, admin], ['', '']);
    const got = [...(host ?? '').matchAll(/^GET (\S+) HTTP\/1\.1\r$/gm)].map(([, path = '']) => path);
    assert.equal(got.length, disguised.filter(([, reply]) => reply.startsWith('host ')).length);
    for (const path of got) assert.deepEqual(readings(path).filter(isAdmin), [], path);
  });
}

test('the readings of a path are those of which servers are known', () => {
  for (const [path] of disguised.filter(([target, reply]) => reply === 'rule' && target.startsWith('/'))) {
    assert.ok(readings(path).some(isAdmin), path);
  }
  for (const path of ['//admin', '/x/..;/admin', '/a/..%2fadmin', '/x\\..\\admin', '/%2561dmin', '/x//../admin']) {
    assert.ok(readings(path).some(isAdmin), path);
  }
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

/** Changes that servers make to a path, in some order, none of them or all. */
const readingSteps: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/\/{2,}/g, '/'),
  (path) => path.replace(/;[^/]*/g, ''),
  withoutDots,
  // Of programs that parse the path as the reference of a URL: `new URL(path, base)`.
  (path) => path.replace(/^\/\/[^/]+/, ''),
];

/** All paths that servers may take this one for, without its query. Shares no code with the program. */
function readings(path: string): string[] {
  const found = new Set([path.replace(/\?.*/, '')]);
  for (const each of found) for (const step of readingSteps) found.add(step(each));
  return [...found];
}

function withoutDots(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  return `/${kept.join('/')}`;
}

function isAdmin(path: string): boolean {
  return /^\/admin(?:[/?#;\0]|$)/.test(path);
}
