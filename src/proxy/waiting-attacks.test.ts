import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeafBackend } from '../../test/helpers/deaf-backend.ts';
import { freePort } from '../../test/helpers/free-port.ts';
import { RawBackend } from '../../test/helpers/raw-backend.ts';
import type { RawClient } from '../../test/helpers/raw-client.ts';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { until, untilStill } from '../../test/helpers/until.ts';

const waitingOf = (rig: Rig): number => rig.proxy.dataPlane.counters.requestsWaiting;
const untilWaiting = (rig: Rig, count: number) => until(`${count} that wait`, () => waitingOf(rig) === count);
const status = ({ received }: RawClient): string => received.slice(9, 12);

async function several(rig: Rig, count: number, ...lines: string[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < count; i++) {
    clients.push(await rig.send(get(`/w${i}`, 'Connection: close', ...lines)));
    await until('it is there', () => rig.proxy.dataPlane.counters.requests > i);
  }
  return clients;
}

async function statuses(clients: readonly RawClient[]): Promise<string[]> {
  await Promise.all(clients.map((client) => client.untilEnded()));
  return clients.map(status);
}

/** A backend that responds to everything but `/slow`. */
function serveAllButSlow(backend: RawBackend): void {
  backend.serve(({ startLine }) => (startLine.includes('/slow') ? '' : response('ok')));
}

function endSlow({ peers }: RawBackend): void {
  peers.find(({ received }) => received.includes('/slow'))?.send(response('slow'));
}

test('a resumed host whose places are all in use refuses none of those that wait', async (t) => {
  const rig = await Rig.start(t);
  serveAllButSlow(rig.backend);
  const limits = { requestsMax: '1', queueMax: '20', queueTimeout: '1m', hold: '20s' };
  rig.proxy.options('a.test', limits);
  await rig.send(get('/slow'));
  await rig.backend.receive('GET /slow');
  rig.proxy.options('a.test', { ...limits, pause: 'on' });
  const clients = await several(rig, 3);
  await untilWaiting(rig, 3);
  rig.proxy.options('a.test', limits);
  endSlow(rig.backend);
  assert.deepEqual(await statuses(clients), ['200', '200', '200']);
});

test('a pilot that gets no connection, because all are in use, waits on', async (t) => {
  const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1, queueTimeoutMs: 50 } });
  serveAllButSlow(rig.backend);
  rig.proxy.options('a.test', { hold: '20s' });
  await rig.send(get('/slow'));
  await rig.backend.receive('/slow');
  rig.proxy.options('a.test', { hold: '20s', pause: 'on' });
  const clients = await several(rig, 3);
  await untilWaiting(rig, 3);
  rig.proxy.options('a.test', { hold: '20s' });
  // More than one pilot has waited for a connection in vain.
  await until('pilots', () => rig.proxy.frontend('a.test').load.waiting === null || waitingOf(rig) === 3);
  endSlow(rig.backend);
  assert.deepEqual(await statuses(clients), ['200', '200', '200']);
});

test('requests that were counted by their rate are not counted again when the host is resumed', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  const limits = { rate: '1/h', rateBurst: '4', rateBy: 'host' };
  rig.proxy.options('a.test', { ...limits, pause: 'on' });
  const clients = await several(rig, 4);
  await untilWaiting(rig, 4);
  rig.proxy.options('a.test', limits);
  assert.deepEqual(await statuses(clients), ['200', '200', '200', '200']);
});

test('a queue lets one go on at a time, also if its rules take their time', async (t) => {
  const rig = await Rig.start(t);
  serveAllButSlow(rig.backend);
  const auth = `Authorization: Basic ${Buffer.from('u:p').toString('base64')}`;
  const options = { basicAuth: 'u:$2b$10$p', requestsMax: '1', queueMax: '20', queueTimeout: '20s' };
  rig.proxy.looseOptions('a.test', options);
  await rig.send(get('/slow', auth));
  await rig.backend.receive('GET /slow');
  const clients = await several(rig, 4, auth);
  await untilWaiting(rig, 4);
  rig.proxy.looseOptions('a.test', { ...options, queueMax: '21' });
  endSlow(rig.backend);
  assert.deepEqual(await statuses(clients), ['200', '200', '200', '200']);
});

test('a client that trickles its body keeps nobody from trying', async (t) => {
  const rig = await Rig.start(t, { settings: { bodyRateMin: 1, bodyGraceMs: 60_000 } });
  const port = await freePort();
  rig.proxy.route('a.test', [`http://127.0.0.1:${port}`]);
  rig.proxy.options('a.test', { hold: '20s', pause: 'on' });
  await rig.send(request('POST /slow HTTP/1.1', 'Content-Length: 100000'));
  await untilWaiting(rig, 1);
  const posts: RawClient[] = [];
  for (let i = 0; i < 3; i++) {
    posts.push(await rig.send(`${request('POST /p HTTP/1.1', 'Content-Length: 2', 'Connection: close')}ab`));
  }
  await untilWaiting(rig, 4);
  rig.proxy.options('a.test', { hold: '20s' });
  const backend = await RawBackend.start('127.0.0.1', port);
  t.after(() => backend.stop());
  backend.serve(() => response('ok'));
  assert.deepEqual(await statuses(posts), ['200', '200', '200']);
});

test('a change of the route lets requests go on, although one tries a backend that does not respond', async (t) => {
  const deaf = await DeafBackend.start();
  t.after(() => deaf.stop());
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  rig.proxy.route('a.test', [deaf.url]);
  rig.proxy.options('a.test', { hold: '20s', connectTimeout: '1m' });
  const frontend = rig.proxy.frontend('a.test');
  const [backend] = frontend.backends;
  const mark = { untilMs: Date.now() + 60_000, sinceMs: 1, reason: 'x', instance: 'x' };
  if (backend !== undefined) backend.down = mark;
  const clients = await several(rig, 2);
  await until('a pilot', () => backend?.inFlight === 1);
  rig.proxy.route('a.test', [rig.backend.url], 'a.test', { ...frontend.policy });
  assert.deepEqual(await statuses(clients), ['200', '200']);
});

test('a request does not wait longer than the host says, also while it tries a backend that does not respond', async (t) => {
  const deaf = await DeafBackend.start();
  t.after(() => deaf.stop());
  const rig = await Rig.start(t);
  rig.proxy.route('a.test', [deaf.url]);
  rig.proxy.options('a.test', { hold: '300ms', connectTimeout: '1m' });
  const [backend] = rig.proxy.frontend('a.test').backends;
  if (backend !== undefined) backend.down = { untilMs: Date.now() + 60_000, sinceMs: 1, reason: 'x', instance: 'x' };
  assert.deepEqual(await statuses(await several(rig, 1)), ['503']);
});

for (const balance of ['two-choices', 'hash']) {
  for (const which of [0, 1]) {
    test(`a host is awake with any of its backends, also with marks: ${balance}, number ${which}`, async (t) => {
      const rig = await Rig.start(t, { random: () => 0 });
      const ports = [await freePort(), await freePort()];
      const urls = ports.map((port) => `http://127.0.0.1:${port}`);
      rig.proxy.route('a.test', urls);
      rig.proxy.options('a.test', { hold: '20s', balance });
      const clients = await several(rig, 1);
      await untilWaiting(rig, 1);
      await until('a mark', () => rig.proxy.marks.length === 1);
      const backend = await RawBackend.start('127.0.0.1', ports[which] ?? 0);
      t.after(() => backend.stop());
      backend.serve(() => response('ok'));
      assert.deepEqual(await statuses(clients), ['200']);
    });
  }
}

test('a request that a backend has seen, and that ended it, is not sent there again and again', async (t) => {
  const rig = await Rig.start(t, { random: () => 0, settings: { downMs: 0 } });
  let seen = 0;
  rig.backend.serve((_message, peer) => {
    seen++;
    peer.socket.destroy();
    return '';
  });
  rig.proxy.route('a.test', [rig.backend.url, `http://127.0.0.1:${await freePort()}`]);
  rig.proxy.options('a.test', { hold: '20s' });
  assert.deepEqual(await statuses(await several(rig, 1)), ['502']);
  assert.equal(seen, 1);
});

test('a pause keeps those back that wait for a place', async (t) => {
  const rig = await Rig.start(t);
  serveAllButSlow(rig.backend);
  const limits = { requestsMax: '1', queueMax: '5', queueTimeout: '20s' };
  rig.proxy.options('a.test', limits);
  const first = await rig.send(get('/slow'));
  await rig.backend.receive('GET /slow');
  const queued = await several(rig, 1);
  await untilWaiting(rig, 1);
  rig.proxy.options('a.test', { ...limits, pause: 'on' });
  endSlow(rig.backend);
  await first.expect('slow');
  await rig.proxy.frontend('a.test').load.waiting?.placeFreed();
  assert.ok(!rig.backend.received.includes('/w0'));
  rig.proxy.options('a.test', limits);
  assert.deepEqual(await statuses(queued), ['200']);
});

test('newcomers do not overtake those that wait', async (t) => {
  const rig = await Rig.start(t);
  const port = await freePort();
  rig.proxy.route('a.test', [`http://127.0.0.1:${port}`]);
  rig.proxy.options('a.test', { hold: '20s', releasePerSecond: '20' });
  const clients = await several(rig, 5);
  await untilWaiting(rig, 5);
  const backend = await RawBackend.start('127.0.0.1', port);
  t.after(() => backend.stop());
  backend.serve(() => response('ok'));
  await backend.receive('GET /w0');
  const late = [];
  for (let i = 0; i < 5; i++) late.push(await rig.send(get('/late', 'Connection: close')));
  await statuses([...clients, ...late]);
  const paths = backend.requests.map(({ startLine }) => startLine.split(' ')[1]);
  assert.deepEqual(new Set(paths.slice(0, 5)), new Set(['/w0', '/w1', '/w2', '/w3', '/w4']));
});

for (const options of [{ pause: 'on' }, { requestsMax: '1', queueMax: '5', queueTimeout: '20s' }]) {
  test(`of a long body no more than a read comes while its request waits: ${Object.keys(options)[0]}`, async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => '');
    rig.proxy.options('a.test', options);
    if (!('pause' in options)) {
      await rig.send(get('/first'));
      await rig.backend.receive('GET /first');
    }
    const MiB = 1024 ** 2;
    const client = await rig.send(request('PUT / HTTP/1.1', `Content-Length: ${64 * MiB}`));
    await untilWaiting(rig, 1);
    for (let i = 0; i < 64; i++) client.send('x'.repeat(MiB));
    const unsent = await untilStill('the body', () => client.socket.writableLength);
    // The rest is in the buffers of the kernel.
    assert.ok(64 * MiB - unsent < 16 * MiB, `${64 - unsent / MiB} MiB were taken`);
  });
}

test('a host whose requests wait is in use', async (t) => {
  const rig = await Rig.start(t);
  rig.proxy.options('a.test', { pause: 'on', hold: '30s', wake: 'event', idleAfter: '1m' });
  await several(rig, 1);
  await untilWaiting(rig, 1);
  await until('two reports', () => rig.proxy.used.length >= 2);
});
