import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, request, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const upgrades = new Set(['tcp', 'spdy/3.1']);
/** As `docker exec` sends it. */
const exec = `${request(
  'POST /exec/1/start HTTP/1.1',
  'Connection: Upgrade',
  'Upgrade: tcp',
  'Content-Type: application/json',
  'Content-Length: 16',
)}{"Detach":false}`;
const switched = 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: x\r\n\r\n';

async function open(t: TestContext, sent = exec): Promise<{ rig: Rig; client: RawClient; backend: BackendPeer }> {
  const rig = await Rig.start(t, { settings: { upgrades } });
  const client = await rig.send(sent);
  const backend = await rig.backend.peer();
  await rig.backend.receive('{"Detach":false}');
  return { rig, client, backend };
}

describe('a protocol that is configured', () => {
  test('becomes a tunnel, with what both ends send early', async (t) => {
    const { rig, client, backend } = await open(t, `${exec}early`);
    assert.match(backend.received, /\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\{"Detach":false\}$/);
    backend.send(`${switched}\x00\x81\xffhello`);
    await client.expect('\x00\x81\xffhello');
    assert.match(client.received, /^HTTP\/1\.1 101 UPGRADED\r\n.*\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n/s);
    await rig.backend.receive('early');
    // Neither frames of WebSocket nor requests.
    client.send(`\x88\x80\0\0\0\0${get('/not-a-request')}`);
    await rig.backend.receive('/not-a-request');
    backend.socket.end('last');
    await client.expect('last');
    client.socket.end();
    await until('the end', () => rig.proxy.ended.length === 1);
    assert.equal(rig.proxy.dataPlane.counters.tunnelsOpen, 0);
  });

  test('is the first that the client prefers, as it writes it', async (t) => {
    const rig = await Rig.start(t, { settings: { upgrades } });
    const client = await rig.send(request('POST /x HTTP/1.1', 'Connection: upgrade', 'Upgrade: h2c, SPDY/3.1 , tcp'));
    await rig.backend.receive('\r\n\r\n');
    const backend = await rig.backend.peer();
    assert.match(backend.received, /\r\nUpgrade: SPDY\/3\.1\r\n/);
    assert.doesNotMatch(backend.received, /h2c/);
    backend.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: spdy/3.1\r\nConnection: upgrade\r\n\r\nhi');
    await client.expect('hi');
    client.close();
  });

  test('ends gently when the proxy stops: each end may finish', async (t) => {
    const { rig, client, backend } = await open(t);
    backend.send(`${switched}hello`);
    await client.expect('hello');
    const drained = rig.proxy.dataPlane.drain({ forMs: 10_000, closeCode: 1001 });
    await client.untilEnded();
    assert.match(client.received, /hello$/);
    client.socket.end();
    backend.socket.end();
    assert.equal(await drained, true);
  });

  test('that the backend declines leaves an ordinary response and connection', async (t) => {
    const { rig, client, backend } = await open(t);
    backend.send(response('no', '409 Conflict'));
    await client.expect('no');
    rig.backend.serve(() => response('next'));
    client.send(get('/next'));
    await client.expect('next');
    assert.deepEqual(client.statuses, [409, 200]);
    assert.equal(rig.backend.peers.length, 1);
  });
});

describe('a switch is refused', () => {
  const wrong: Record<string, string> = {
    'to another protocol': 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n',
    'without Upgrade': 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n',
    'without Connection': 'HTTP/1.1 101 X\r\nUpgrade: tcp\r\n\r\n',
  };
  for (const [name, sent] of Object.entries(wrong)) {
    test(name, async (t) => {
      const { rig, client, backend } = await open(t);
      backend.send(`${sent}poison`);
      await client.expect('502');
      assert.doesNotMatch(client.received, /poison/);
      await backend.untilClosed();
      assert.equal(rig.proxy.dataPlane.counters.tunnels, 0);
    });
  }

  test('before the request has ended', async (t) => {
    const rig = await Rig.start(t, { settings: { upgrades } });
    const client = await rig.send(exec.slice(0, -5));
    await rig.backend.receive('{"Detach"');
    (await rig.backend.peer()).send(switched);
    await client.expect('502');
    assert.equal(rig.proxy.dataPlane.counters.tunnels, 0);
  });

  test('if the protocol is not configured: the request is an ordinary one', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(exec);
    await rig.backend.receive('{"Detach":false}');
    const backend = await rig.backend.peer();
    assert.doesNotMatch(backend.received, /upgrade/i);
    backend.send(switched);
    await client.expect('502');
  });
});

describe('the options of a host', () => {
  const webSocket = request(
    'GET /ws HTTP/1.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  );

  test('allow a protocol that the configuration does not have, for this host alone', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { upgrades: 'SPDY/3.1, TCP' });
    const client = await rig.send(exec);
    await rig.backend.receive(/\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\{"Detach":false\}$/);
    (await rig.backend.peer()).send(`${switched}hello`);
    await client.expect('hello');
    assert.equal(rig.proxy.frontend('a.test').load.tunnels, 1);
    rig.proxy.route('b.test', [rig.backend.url]);
    const other = await rig.send(exec.replace('a.test', 'b.test'));
    const backend = await rig.backend.peer(1);
    await until('the request', () => backend.received.includes('{"Detach":false}'));
    assert.doesNotMatch(backend.received, /upgrade/i);
    backend.send(response('ordinary'));
    await other.expect('ordinary');
    assert.equal(rig.proxy.frontend('b.test').load.tunnels, 0);
    client.close();
  });

  test('forbid one that the configuration has', async (t) => {
    const rig = await Rig.start(t, { settings: { upgrades } });
    rig.backend.serve(() => response('ordinary'));
    for (const option of ['none', 'spdy/3.1']) {
      rig.proxy.options('a.test', { upgrades: option });
      const client = await rig.send(exec);
      await client.expect('ordinary');
      assert.doesNotMatch(rig.backend.received, /upgrade/i);
      client.close();
    }
    rig.proxy.options('a.test', { upgrades: 'configured' });
    await rig.send(exec);
    await rig.backend.receive('Upgrade: tcp');
  });

  test('never allow those that would hide requests', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ordinary'));
    rig.proxy.looseOptions('a.test', { upgrades: 'h2c, TLS/1.2, HTTP/2.0, websocket, tcp' });
    const client = await rig.send(request('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c, TLS/1.2, HTTP/2.0'));
    await client.expect('ordinary');
    assert.doesNotMatch(rig.backend.received, /upgrade/i);
  });

  test('refuse WebSockets, and nothing else', async (t) => {
    const rig = await Rig.start(t, { settings: { upgrades } });
    rig.backend.serve(() => response('ordinary'));
    rig.proxy.options('a.test', { websockets: 'off' });
    const client = await rig.send(webSocket);
    await client.expect(/^HTTP\/1\.1 403 .*\r\nx-hipache-error: ACCESS_DENIED\r\n/s);
    assert.equal(rig.backend.requests.length, 0);
    assert.equal(rig.proxy.frontend('a.test').load.tunnels, 0);
    const next = await rig.send(get('/'));
    await next.expect('ordinary');
    await rig.send(exec);
    await rig.backend.receive('Upgrade: tcp');
  });
});
