import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DnsServer, type DnsServerOptions } from '../helpers/dns-server.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { machineResolver } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

type Records = Readonly<Record<string, readonly string[]>>;

/** A rig that resolves names with its own name server. Its backend listens on every address of 127.0.0.0/8. */
async function start(t: TestContext, records: Records, dns: DnsServerOptions = {}, options: RigOptions = {}) {
  const names = await DnsServer.start(records, dns);
  t.after(() => names.remove());
  const rig = await Rig.start(t, { ...options, resolver: machineResolver([names.address]) });
  const backend = await RawBackend.start('0.0.0.0');
  t.after(() => backend.stop());
  backend.serve((_, peer) => response(`at ${peer.socket.localAddress}.`));
  return { names, rig, backend };
}

/** The address of the backend that serves `host` now. */
async function servedBy(rig: Rig, host: string, count = 1): Promise<string[]> {
  const client = await rig.send(get('/').replace('a.test', host).repeat(count));
  await client.expect(new RegExp(`(at .*){${count}}`, 's'));
  client.close();
  return [...client.received.matchAll(/at ([\d.]+)\./g)].map(([, address]) => address as string);
}

describe('a backend with a name', () => {
  test('that moves is followed when its TTL has ended, while the old address still answers', async (t) => {
    const { names, rig, backend } = await start(t, { 'app.test': ['127.0.9.1'] });
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`]);
    assert.deepEqual(await servedBy(rig, 'a.test'), ['127.0.9.1']);
    await names.set({ 'app.test': ['127.0.9.2'] });
    await until('the new address', async () => (await servedBy(rig, 'a.test'))[0] === '127.0.9.2');
    assert.deepEqual(await servedBy(rig, 'a.test', 3), ['127.0.9.2', '127.0.9.2', '127.0.9.2']);
    await until(
      'the end of the old connection',
      () => backend.peers[0]?.closed === true || backend.peers[0]?.ended === true,
    );
    assert.equal(rig.proxy.dataPlane.counters.retries, 0);
  });

  test('that moves keeps its request under way, and its tunnel', async (t) => {
    const { names, rig, backend } = await start(t, { 'app.test': ['127.0.9.1'] });
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`]);
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
    const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    backend.serve(({ startLine }, peer) => {
      if (startLine.includes('/slow')) return '';
      if (startLine.includes('/tunnel')) return `HTTP/1.1 101 S\r\n${[...upgrade, accept].join('\r\n')}\r\n\r\n`;
      return response(`at ${peer.socket.localAddress}.`);
    });
    const slow = await rig.send(get('/slow'));
    const tunnel = await rig.send(
      get('/tunnel', ...upgrade, 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='),
    );
    await tunnel.expect('101');
    await names.set({ 'app.test': ['127.0.9.2'] });
    await until('the new address', async () => (await servedBy(rig, 'a.test'))[0] === '127.0.9.2');
    backend.peers.find(({ received }) => received.includes('/slow'))?.send(response('slow'));
    await slow.expect('slow');
    backend.peers.find(({ received }) => received.includes('/tunnel'))?.send('through');
    await tunnel.expect('through');
  });

  test('has all its addresses used', async (t) => {
    const addresses = ['127.0.9.1', '127.0.9.2', '127.0.9.3'];
    const { rig, backend } = await start(t, { 'app.test': addresses }, {}, { settings: { backendKeepAlive: false } });
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`]);
    assert.deepEqual(new Set(await servedBy(rig, 'a.test', 9)), new Set(addresses));
  });

  test('is served by the addresses that accept, and is not marked for the other', async (t) => {
    const { rig, backend } = await start(t, { 'app.test': ['127.0.9.1', '::1'] });
    // Nothing listens on ::1.
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`, 'http://127.0.0.1:1']);
    for (let count = 0; count < 4; count++) {
      const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 2')}hi`);
      await client.expect(/127\.0\.9\.1|502/);
      client.close();
    }
    assert.deepEqual(
      rig.proxy.marks.filter(({ url }) => url.includes('app.test')),
      [],
    );
    assert.ok(!backend.peers.some(({ socket }) => socket.localAddress === '::1'));
  });

  test('that cannot be resolved gets 502, and is served as soon as it can be', async (t) => {
    const { names, rig, backend } = await start(t, {});
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`]);
    const client = await rig.send(get('/'));
    await client.expect('502');
    assert.match(client.received, /x-hipache-error: BACKEND_CONNECT_REFUSED/);
    assert.match(rig.proxy.ended[0]?.errorDetail ?? '', /app\.test: ENOTFOUND/);
    await names.set({ 'app.test': ['127.0.9.1'] });
    await until('the backend', async () => {
      const again = await rig.send(get('/'));
      await again.expect(/HTTP\/1\.1 (200|502)/);
      return again.statuses[0] === 200;
    });
  });

  test('whose name nobody answers for delays no other name, and its clients get 504', async (t) => {
    const { rig, backend } = await start(
      t,
      { 'app.test': ['127.0.9.1'] },
      { unanswered: ['dead.test'] },
      { settings: { connectTimeoutMs: 1500 } },
    );
    rig.proxy.route('dead.test', [`http://dead.test:${backend.port}`]);
    const dead = await Promise.all(Array.from({ length: 50 }, () => rig.send(get('/').replace('a.test', 'dead.test'))));
    for (let name = 0; name < 20; name++) {
      rig.proxy.route(`h${name}.test`, [`http://app.test:${backend.port}`]);
      assert.deepEqual(await servedBy(rig, `h${name}.test`), ['127.0.9.1']);
    }
    assert.ok(
      dead.every(({ received }) => received === ''),
      'the others did not wait for these',
    );
    await Promise.all(dead.map((client) => client.expect('504')));
  });

  test('keeps its addresses while the name server is gone, and is followed again when it is back', async (t) => {
    const { names, rig, backend } = await start(t, { 'app.test': ['127.0.9.1'] });
    rig.proxy.route('a.test', [`http://app.test:${backend.port}`]);
    assert.deepEqual(await servedBy(rig, 'a.test'), ['127.0.9.1']);
    await names.kill();
    // Longer than the TTL of 1 s, so that the lookup that follows has failed.
    for (let count = 0; count < 5; count++) {
      await delay(500);
      assert.deepEqual(await servedBy(rig, 'a.test'), ['127.0.9.1']);
    }
    await names.set({ 'app.test': ['127.0.9.2'] });
    await names.start();
    await until('the new address', async () => (await servedBy(rig, 'a.test'))[0] === '127.0.9.2', 60_000);
  });

  test('gives its place back when the client leaves during the lookup', async (t) => {
    const { names, rig, backend } = await start(t, {}, { unanswered: ['dead.test'] });
    rig.proxy.route('a.test', [`http://dead.test:${backend.port}`]);
    const client = await rig.send(get('/'));
    await until('the query', () => names.unanswered > 0);
    client.close();
    await until('the end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
    assert.equal(rig.proxy.dataPlane.origins.size, 0);
  });
});

test('a kept connection ends when it has reached its age', async (t) => {
  const rig = await Rig.start(t, { settings: { backendAgeMs: 300 } });
  rig.backend.serve(() => response('ok'));
  const client = await rig.send(get('/1'));
  await client.expect('ok');
  await (await rig.backend.peer()).untilClosed();
  client.send(get('/2'));
  await client.expect(/ok.*ok/s);
  assert.equal(rig.backend.peers.length, 2);
});
