import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RawBackend } from '../helpers/raw-backend.ts';
import { values } from '../helpers/reference-parser.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

/** A host whose requests an auth server decides about. */
async function start(t: TestContext, options: Readonly<Record<string, string>> = {}, rigOptions: RigOptions = {}) {
  const rig = await Rig.start(t, rigOptions);
  const auth = await another(t);
  rig.backend.serve(() => response('from the backend'));
  rig.proxy.options('a.test', { forwardAuth: `${auth.url}/check`, ...options });
  return { rig, auth };
}

async function another(t: TestContext): Promise<RawBackend> {
  const backend = await RawBackend.start();
  t.after(() => backend.stop());
  return backend;
}

const agrees = response('', '200 OK', 'Remote-User: ann');
const refuses = response('', '401 Unauthorized');

test('the auth server decides about the host that is served, whatever X-Forwarded-Host a trusted proxy lets through', async (t) => {
  const { rig, auth } = await start(t, {}, { settings: { trustedProxies: trusted('127.0.0.1') } });
  auth.serve(({ fields }) => (values(fields, 'x-forwarded-host').includes('public.test') ? agrees : refuses));
  const forged = ['X-Forwarded-Host: public.test', 'X-Forwarded-Port: 8443', 'Forwarded: host=public.test'];
  const client = await rig.send(get('/', 'X-Forwarded-For: 203.0.113.9', ...forged));
  await client.expect('HTTP/1.1 401 ');
  const fields = auth.requests[0]?.fields ?? [];
  assert.deepEqual(values(fields, 'x-forwarded-host'), ['a.test']);
  assert.deepEqual(values(fields, 'x-forwarded-port'), ['80']);
  assert.deepEqual(values(fields, 'forwarded'), []);
});

test('a client cannot name another path to a backend than the auth server has judged', async (t) => {
  const { rig, auth } = await start(t);
  auth.serve(() => agrees);
  const names = ['X-Original-URL', 'X-Rewrite-URL', 'X-Original-Method', 'X-Original-URI', 'X-Forwarded-Uri'];
  const client = await rig.send(get('/public', ...names.map((name) => `${name}: /admin`)));
  await client.expect('from the backend');
  assert.doesNotMatch(rig.backend.received, /admin/);
});

test('a client cannot set a field of the auth server in a spelling that applications take for the same', async (t) => {
  const { rig, auth } = await start(t, { forwardAuthFields: 'Remote-User' });
  auth.serve(() => agrees);
  const names = ['Remote-User', 'REMOTE_USER', 'Remote.User', 'Remote+User', 'remote~user'];
  const client = await rig.send(get('/', ...names.map((name) => `${name}: root`)));
  await client.expect('from the backend');
  assert.doesNotMatch(rig.backend.received, /root/);
  assert.match(rig.backend.received, /^Remote-User: ann\r$/m);
});

test('a request that waits for its body has to pass the rules that are turned on meanwhile', async (t) => {
  const rig = await Rig.start(t, { settings: { bodyRateMin: 1, bodyGraceMs: 10_000 } });
  const auth = await another(t);
  auth.serve(() => refuses);
  rig.backend.serve(() => response('from the backend'));
  const client = await rig.send(`${request('POST /admin HTTP/1.1', 'Content-Length: 4', 'Remote-User: root')}ab`);
  await until('its first bytes', () => rig.proxy.dataPlane.counters.requestsInFlight === 1);
  rig.proxy.options('a.test', { forwardAuth: auth.url, forwardAuthFields: 'Remote-User' });
  client.send('cd');
  await client.expect('HTTP/1.1 401 ');
  assert.equal(rig.backend.received, '');
});

test('a path that gets rules of its own while the auth server is asked is judged by them', async (t) => {
  const { rig, auth } = await start(t);
  rig.proxy.route('a.test/admin', [(await another(t)).url]);
  rig.proxy.options('a.test/admin', { deny: '0.0.0.0/0' });
  auth.serve(() => '');
  const client = await rig.send(get('/admin'));
  await auth.receive('/check');
  rig.proxy.options('a.test', { forwardAuth: `${auth.url}/check`, paths: '/admin' });
  auth.peers[0]?.send(agrees);
  await client.expect('HTTP/1.1 403 ');
  assert.equal(rig.backend.received, '');
});

test('an auth server is not asked about a request whose client left while its password was checked', async (t) => {
  const { rig, auth } = await start(t, {
    basicAuth: 'ann:$2y$10$abcdefghijklmnopqrstuuVBz9.5Yq1vYVbYc1TiRjQ9kPq7gq2yK',
  });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let isChecking = false;
  rig.proxy.checkPassword = () => {
    isChecking = true;
    return promise;
  };
  auth.serve(() => '');
  const client = await rig.send(get('/secret', `Authorization: Basic ${Buffer.from('ann:x').toString('base64')}`));
  await until('the check of the password', () => isChecking);
  client.close();
  await rig.proxy.untilQuiet();
  resolve(true);
  // Another request, which is asked about, comes after it.
  auth.serve(() => refuses);
  rig.proxy.options('a.test', { forwardAuth: `${auth.url}/later` });
  await (await rig.send(get('/'))).expect('HTTP/1.1 401 ');
  assert.doesNotMatch(auth.received, /check/);
});

test('a field behind 2,000 others of the auth server is copied all the same', async (t) => {
  const { rig, auth } = await start(t, { forwardAuthFields: 'Remote-User' });
  auth.serve(() => `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(2000)}Remote-User: ann\r\nContent-Length: 0\r\n\r\n`);
  await (await rig.send(get('/'))).expect('from the backend');
  assert.match(rig.backend.received, /^Remote-User: ann\r$/m);
});

test('an error page that its server has compressed is not used', async (t) => {
  const rig = await Rig.start(t);
  const pages = await another(t);
  pages.serve(() => response('\x1f\x8b\x08zip', '200 OK', 'Content-Type: text/html', 'Content-Encoding: gzip'));
  rig.proxy.options('a.test', { maintenance: 'on', errorPage: `${pages.url}/` });
  await (await rig.send(get('/'))).expect(/\r\n\r\n/);
  await until('the warning', () => rig.proxy.warnings.some((warning) => warning.includes('compressed')));
  const client = await rig.send(get('/'));
  await client.expect(/\r\n\r\n/);
  assert.ok(!client.received.includes('\x1f\x8b'));
});

test('an error page stays small, whatever its places are filled with', async (t) => {
  const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
  rig.proxy.options('a.test', { maintenance: 'on', errorPage: `<${'{requestId}'.repeat(5900)}` });
  const client = await rig.send(get('/', `X-Request-Id: ${'"'.repeat(30_000)}`));
  await client.expect(/\r\n\r\n/);
  const [, length] = /content-length: (\d+)/i.exec(client.received) ?? [];
  assert.ok(Number(length) < 256 * 1024, `${length} bytes`);
});

test('slow error pages of some hosts do not keep away those of another', async (t) => {
  const rig = await Rig.start(t);
  const [slow, fast] = [await another(t), await another(t)];
  fast.serve(() => response('<p>mine', '200 OK', 'Content-Type: text/html'));
  for (let i = 0; i < 60; i++) {
    rig.proxy.route(`h${i}.test`, []);
    rig.proxy.options(`h${i}.test`, { maintenance: 'on', errorPage: `${slow.url}/${i}` });
    await (await rig.send(`GET / HTTP/1.1\r\nHost: h${i}.test\r\n\r\n`)).expect(/\r\n\r\n/);
  }
  rig.proxy.options('a.test', { maintenance: 'on', errorPage: `${fast.url}/` });
  await (await rig.send(get('/'))).expect(/\r\n\r\n/);
  await until('a request for the page', () => fast.requests.length === 1);
});
