import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeafBackend } from '../../../test/helpers/deaf-backend.ts';
import { get, Rig, response } from '../../../test/helpers/rig.ts';
import { until } from '../../../test/helpers/until.ts';

test('a connection has the time of the host that it is begun for, to the millisecond if that is short', async (t) => {
  const deaf = await DeafBackend.start();
  t.after(() => deaf.stop());
  const rig = await Rig.start(t, { settings: { connectTimeoutMs: 60_000 } });
  for (const host of ['a.test', 'b.test']) rig.proxy.route(host, [deaf.url]);
  rig.proxy.options('a.test', { connectTimeout: '20ms' });
  const patient = await rig.send(get('/').replace('a.test', 'b.test'));
  await until('its request', () => rig.proxy.dataPlane.counters.requests === 1);
  const startMs = performance.now();
  const client = await rig.send(get('/'));
  await client.expect(/^HTTP\/1\.1 504 .*\r\nx-hipache-error: BACKEND_CONNECT_TIMEOUT\r\n/s);
  assert.ok(performance.now() - startMs >= 20);
  assert.equal(patient.received, '');
  assert.equal(rig.proxy.dataPlane.counters.backendConnectionsOpen, 1);
  patient.close();
});

test('a connection that is established in time serves the request of a host with a short one', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  rig.proxy.options('a.test', { connectTimeout: '500ms', responseTimeout: '10s' });
  const client = await rig.send(get('/1') + get('/2'));
  await client.expect(/ok.*ok/s);
  assert.equal(rig.backend.peers.length, 1);
});

test('of several backends, the next one is asked after the time of the host', async (t) => {
  const deaf = await DeafBackend.start();
  t.after(() => deaf.stop());
  const rig = await Rig.start(t, { random: () => 0, settings: { connectTimeoutMs: 60_000 } });
  rig.backend.serve(() => response('ok'));
  rig.proxy.route('a.test', [deaf.url, rig.backend.url]);
  rig.proxy.options('a.test', { connectTimeout: '30ms', balance: 'round-robin' });
  for (let i = 0; i < 2; i++) {
    const client = await rig.send(get('/'));
    await client.expect(/^HTTP\/1\.1 200 /);
  }
  assert.deepEqual(rig.proxy.marks, [{ url: deaf.url, reason: 'BACKEND_CONNECT_TIMEOUT' }]);
});
