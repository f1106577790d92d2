import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { get, Rig, request, response } from '../helpers/rig.ts';
import type { TestSettings } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

function start(t: TestContext, settings: Partial<TestSettings> = {}): Promise<Rig> {
  return Rig.start(t, { settings: { bodyRateMin: 500, bodyGraceMs: 10_000, ...settings } });
}

const post = (length: number, ...lines: readonly string[]): string =>
  request('POST /slow HTTP/1.1', `Content-Length: ${length}`, ...lines);

describe('bodies that trickle', () => {
  test('hold no connection to the backend: others of the host are served', async (t) => {
    const rig = await start(t, { backendConnectionsMax: 2 });
    rig.backend.serve(() => response('served'));
    const slow = await Promise.all(Array.from({ length: 20 }, () => rig.send(`${post(1000)}x`)));
    await until('the slow requests', () => rig.proxy.dataPlane.counters.requestsInFlight === 20);
    for (const client of slow) client.send('x');
    await (await rig.send(get('/'))).expect('served');
    assert.equal(rig.backend.peers.length, 1);
    assert.doesNotMatch(rig.backend.received, /slow/);
  });

  test('reach the backend once they are complete', async (t) => {
    const rig = await start(t);
    rig.backend.serve(({ body }) => response(`got ${body}`));
    const client = await rig.send(post(5));
    for (const byte of 'hello') {
      assert.equal(rig.backend.peers.length, 0);
      client.send(byte);
      await new Promise(setImmediate);
    }
    await client.expect('got hello');
  });

  test('reach the backend once a first block has come', async (t) => {
    const rig = await start(t);
    const client = await rig.send(`${post(100_000)}${'x'.repeat(16 * 1024 - 1)}`);
    await until('the request', () => rig.proxy.dataPlane.counters.requestsInFlight === 1);
    assert.equal(rig.backend.peers.length, 0);
    client.send('yz');
    await rig.backend.receive('xyz');
  });

  test('in chunks reach the backend once they are complete', async (t) => {
    const rig = await start(t);
    rig.backend.serve(({ body }) => response(`got ${body}`));
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}2\r\nhe\r\n`);
    await until('the request', () => rig.proxy.dataPlane.counters.requestsInFlight === 1);
    assert.equal(rig.backend.peers.length, 0);
    client.send('3\r\nllo\r\n0\r\n\r\n');
    await client.expect('got hello');
  });

  test('that wait for 100-continue go to the backend at once', async (t) => {
    const rig = await start(t);
    await rig.send(post(1000, 'Expect: 100-continue'));
    await rig.backend.receive('\r\n\r\n');
  });

  test('get 408 if they are below the rate after the grace', async (t) => {
    const rig = await start(t, { bodyGraceMs: 300 });
    const client = await rig.send(`${post(1000)}x`);
    await client.expect('408');
    assert.equal(rig.backend.peers.length, 0);
  });

  test('get 408 although bytes keep coming', async (t) => {
    const rig = await start(t, { bodyGraceMs: 300, bodyRateMin: 100_000 });
    const client = await rig.send(post(1_000_000));
    const timer = setInterval(() => client.send('x'.repeat(100)), 20);
    t.after(() => clearInterval(timer));
    await client.expect('408');
  });

  test('may pause as long as their average suffices, and the time in which the proxy does not read is not theirs', async (t) => {
    const rig = await start(t, { bodyGraceMs: 300, bodyRateMin: 10_000 });
    rig.backend.serve(({ body }) => response(`got ${body.length}`));
    const client = await rig.send(`${post(30_000)}${'x'.repeat(20_000)}`);
    await rig.backend.receive('xxx');
    const { clock } = { clock: performance };
    const begun = clock.now();
    await until('more time than the grace', () => clock.now() - begun > 800);
    client.send('x'.repeat(10_000));
    await client.expect('got 30000');
  });

  test('are not too slow once the backend has responded', async (t) => {
    const rig = await start(t, { bodyGraceMs: 300 });
    const client = await rig.send(`${post(100_000)}${'x'.repeat(16 * 1024)}`);
    const peer = await rig.backend.peer();
    await rig.backend.receive('xxx');
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n');
    await client.expect('early');
    const begun = performance.now();
    await until('more time than the grace', () => performance.now() - begun > 800);
    peer.send('4\r\nlate\r\n');
    await client.expect('late');
  });

  test('get 408 also behind another request of the same connection', async (t) => {
    const rig = await start(t, { bodyGraceMs: 300 });
    rig.backend.serve(() => response('served'));
    const client = await rig.send(get('/first') + post(1000, `X-Big: ${'x'.repeat(9000)}`));
    await client.expect('served');
    const timer = setInterval(() => client.send('x'), 50);
    t.after(() => clearInterval(timer));
    await client.expect(' 408 ');
  });

  test('are followed by the next request although theirs fails with the last byte of the body', async (t) => {
    const rig = await start(t);
    rig.proxy.route('none.test', []);
    rig.backend.serve(() => response('served'));
    const client = await rig.send(`${post(10).replace('a.test', 'none.test')}12345`);
    await until('the request', () => rig.proxy.dataPlane.counters.requestsInFlight === 1);
    client.send(`67890${get('/second')}`);
    await client.expect(/502.*served/s);
  });
});
