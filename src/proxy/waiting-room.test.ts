import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../../test/helpers/free-port.ts';
import { RawBackend } from '../../test/helpers/raw-backend.ts';
import type { RawClient } from '../../test/helpers/raw-client.ts';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { until } from '../../test/helpers/until.ts';

const handshake = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** A proxy whose host has one backend, on a port where nothing listens yet. */
async function asleep(t: TestContext, options: Readonly<Record<string, string>> = {}) {
  const rig = await Rig.start(t);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  rig.proxy.route('a.test', [url]);
  rig.proxy.options('a.test', { hold: '20s', ...options });
  const waiting = (): number => rig.proxy.dataPlane.counters.requestsWaiting;
  const untilWaiting = (count: number) => until(`${count} requests that wait`, () => waiting() === count);
  /** The application starts. @param body of its responses. */
  const wake = async (body = 'ok'): Promise<RawBackend> => {
    const backend = await RawBackend.start('127.0.0.1', port);
    t.after(() => backend.stop());
    backend.serve(() => response(body));
    return backend;
  };
  return { rig, url, waiting, untilWaiting, wake };
}

async function ended(client: RawClient): Promise<string> {
  await client.untilEnded();
  return client.received;
}

test('a request waits until its backend listens, and the platform hears of it once', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t, { wake: 'event' });
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(await rig.send(get(`/${i}`, 'Connection: close')));
  await untilWaiting(5);
  const backend = await wake();
  for (const client of clients) assert.match(await ended(client), /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(backend.requests.length, 5);
  assert.deepEqual(rig.proxy.asleep, ['a.test']);
  assert.deepEqual(rig.proxy.marks, []);
});

test('a request of a host without any backend waits until its route has one', async (t) => {
  const { rig, untilWaiting } = await asleep(t);
  rig.proxy.route('a.test', []);
  rig.proxy.options('a.test', { hold: '20s' });
  const client = await rig.send(get('/', 'Connection: close'));
  await untilWaiting(1);
  rig.backend.serve(() => response('new'));
  rig.proxy.route('a.test', [rig.backend.url], 'a.test', { ...rig.proxy.frontend('a.test').policy });
  assert.match(await ended(client), /new$/);
});

test('a host whose backends are all marked dead is asleep until a mark is lifted', async (t) => {
  const { rig, url, untilWaiting } = await asleep(t);
  rig.proxy.route('a.test', [url, rig.backend.url]);
  rig.proxy.options('a.test', { hold: '20s' });
  const frontend = rig.proxy.frontend('a.test');
  const mark = { untilMs: Date.now() + 60_000, sinceMs: 1, reason: 'test', instance: 'test' };
  for (const backend of frontend.backends) backend.down = mark;
  // The one that is tried for recovery is the first of them, where nothing listens.
  const client = await rig.send(get('/', 'Connection: close'));
  await untilWaiting(1);
  rig.backend.serve(() => response('well'));
  const [, second] = frontend.backends;
  if (second !== undefined) second.down = null;
  frontend.load.waiting?.changed(frontend);
  assert.match(await ended(client), /well$/);
});

test('a request that has waited too long gets 503 and when to come again', async (t) => {
  const { rig, waiting } = await asleep(t, { hold: '100ms' });
  const reply = await ended(await rig.send(get('/', 'Connection: close')));
  assert.match(reply, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  assert.match(reply, /^x-hipache-error: HOST_ASLEEP\r$/m);
  assert.match(reply, /^retry-after: 10\r$/m);
  assert.equal(waiting(), 0);
});

test('no more requests wait than the host may have, nor more bytes of their bodies', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t, { holdMax: '3', holdBytesMax: '100' });
  const held = await rig.send(
    `${request('POST / HTTP/1.1', 'Content-Length: 90', 'Connection: close')}${'x'.repeat(90)}`,
  );
  await untilWaiting(1);
  const large = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 11', 'Connection: close')}hello world`);
  assert.match(await ended(large), /^HTTP\/1\.1 503 /);
  const more = [await rig.send(get('/', 'Connection: close')), await rig.send(get('/', 'Connection: close'))];
  await untilWaiting(3);
  assert.match(await ended(await rig.send(get('/', 'Connection: close'))), /^HTTP\/1\.1 503 /);
  const backend = await wake();
  for (const client of [held, ...more]) assert.match(await ended(client), /^HTTP\/1\.1 200 /);
  assert.equal(backend.requests.find(({ startLine }) => startLine.startsWith('POST'))?.body, 'x'.repeat(90));
});

test('the rest of a long body comes once there is a backend', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t);
  const body = 'b'.repeat(300_000);
  const client = await rig.send(
    request('PUT / HTTP/1.1', `Content-Length: ${body.length}`, 'Connection: close') + body.slice(0, 1000),
  );
  await untilWaiting(1);
  client.send(body.slice(1000));
  const backend = await wake();
  assert.match(await ended(client), /^HTTP\/1\.1 200 /);
  assert.equal(backend.requests[0]?.body, body);
});

test('the handshake of a WebSocket waits as well', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t);
  const client = await rig.send(get('/', ...handshake));
  await untilWaiting(1);
  const backend = await wake();
  backend.serve(
    () =>
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
  );
  await client.expect('HTTP/1.1 101 ');
});

test('clients that leave do not wait any more, and keep nobody from trying', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t);
  const clients = [];
  for (let i = 0; i < 4; i++) clients.push(await rig.send(get('/', 'Connection: close')));
  await untilWaiting(4);
  for (const client of clients.slice(0, 3)) client.close();
  await untilWaiting(1);
  await wake();
  assert.match(await ended(clients[3] as RawClient), /^HTTP\/1\.1 200 /);
});

test('requests of a paused host wait although its backend is there, and go on when it is resumed', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  rig.proxy.options('a.test', { pause: 'on', wake: 'event' });
  const client = await rig.send(get('/', 'Connection: close'));
  await until('a request that waits', () => rig.proxy.dataPlane.counters.requestsWaiting === 1);
  assert.equal(rig.backend.received, '');
  rig.proxy.options('a.test', {});
  assert.match(await ended(client), /ok$/);
  assert.deepEqual(rig.proxy.asleep, [], 'nobody has to wake it');
});

test('requests go on at their pace', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t, { releasePerSecond: '1' });
  for (let i = 0; i < 6; i++) await rig.send(get('/', 'Connection: close'));
  await untilWaiting(6);
  const startMs = performance.now();
  const backend = await wake();
  await until('a second request', () => backend.requests.length === 2);
  const seconds = (performance.now() - startMs) / 1000;
  // The first finds out that the backend is there; then at most one at once, and one a second.
  assert.ok(backend.requests.length <= 2 + seconds, `${backend.requests.length} after ${seconds} s`);
});

test('a host that falls asleep again keeps the rest of its requests', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t);
  const clients: RawClient[] = [];
  for (let i = 0; i < 3; i++) clients.push(await rig.send(get('/', 'Connection: close')));
  await untilWaiting(3);
  rig.proxy.options('a.test', { hold: '20s', requestsMax: '1' });
  const first = await wake();
  first.serve(() => '');
  await until('the first request', () => first.requests.length === 1);
  await first.stop();
  await until('the end of one', () => clients.some(({ received }) => received.includes(' 502 ')));
  await untilWaiting(2);
  await wake('again');
  for (const client of clients.slice(1)) assert.match(await ended(client), /again$/);
});

test('a poisoned request that ends its backend is not sent again and again', async (t) => {
  const { rig, untilWaiting, wake } = await asleep(t);
  const client = await rig.send(get('/', 'Connection: close'));
  await untilWaiting(1);
  const backend = await wake();
  backend.serve((_message, peer) => {
    peer.socket.destroy();
    return '';
  });
  assert.match(await ended(client), /^HTTP\/1\.1 502 /);
  assert.ok(backend.peers.length <= 2);
});

test('requests wait for a place among those in progress, in their order', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => '');
  rig.proxy.options('a.test', { requestsMax: '1', queueMax: '2' });
  const clients = [];
  for (let i = 0; i < 3; i++) {
    clients.push(await rig.send(get(`/${i}`)));
    await until('its place', () => rig.proxy.dataPlane.counters.requestsInFlight === i + 1);
  }
  await rig.backend.receive('GET /0 ');
  const refused = await ended(await rig.send(get('/3', 'Connection: close')));
  assert.match(refused, /^HTTP\/1\.1 503 /);
  assert.match(refused, /^x-hipache-error: OVERLOADED\r$/m);
  assert.match(refused, /^retry-after: 1\r$/m);
  for (let i = 0; i < 3; i++) {
    await rig.backend.receive(`GET /${i} `);
    assert.ok(!rig.backend.received.includes(`GET /${i + 1} `), 'one at a time');
    const peer = rig.backend.peers.find(({ received, closed }) => !closed && received.includes(`GET /${i} `));
    peer?.send(response(`${i}`));
    await clients[i]?.expect(`\r\n\r\n${i}`);
  }
});

test('a request that waits too long for a place gets 503, and the others their turn', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => '');
  rig.proxy.options('a.test', { requestsMax: '1', queueMax: '5', queueTimeout: '100ms' });
  await rig.send(get('/first'));
  await rig.backend.receive('GET /first ');
  const late = await rig.send(get('/late', 'Connection: close'));
  assert.match(await ended(late), /^x-hipache-error: OVERLOADED\r$/m);
  rig.proxy.options('a.test', { requestsMax: '1', queueMax: '5', queueTimeout: '20s' });
  const next = await rig.send(get('/next'));
  await until('a request that waits', () => rig.proxy.dataPlane.counters.requestsWaiting === 1);
  rig.backend.peers[0]?.send(response('first'));
  await rig.backend.receive('GET /next ');
  rig.backend.peers.findLast(({ received }) => received.includes('/next'))?.send(response('next'));
  await next.expect('next');
});

test('a host whose route is gone keeps nobody waiting', async (t) => {
  const { rig, untilWaiting } = await asleep(t);
  const client = await rig.send(get('/', 'Connection: close'));
  await untilWaiting(1);
  rig.proxy.frontend('a.test').load.waiting?.gone();
  assert.match(await ended(client), /^x-hipache-error: ROUTE_NOT_FOUND\r$/m);
});
