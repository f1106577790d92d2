import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { askOn } from '../../test/helpers/steady-load.ts';
import { TestProxy } from '../../test/helpers/test-proxy.ts';
import { until, untilStill } from '../../test/helpers/until.ts';

describe('draining', () => {
  test('lets active requests end, tells their clients to close, and ends', async (t) => {
    const rig = await Rig.start(t);
    const waiting = await rig.send(get('/'));
    const sending = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 10')}hello`);
    await rig.backend.receive('hello');
    await until('both', () => rig.backend.peers.length === 2);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    sending.send('world');
    await rig.backend.receive('helloworld');
    for (const peer of rig.backend.peers) peer.send(response('done'));
    for (const client of [waiting, sending]) {
      await client.untilEnded();
      assert.match(client.received, /\r\nConnection: close\r\n\r\ndone$/);
      client.close();
    }
    assert.equal(await drained, true);
    assert.equal(rig.proxy.dataPlane.counters.clientConnectionsOpen, 0);
  });

  test('ends idle client and backend connections', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('done'));
    const used = await rig.send(get('/'));
    await used.expect('done');
    const fresh = await rig.client();
    await until('both', () => rig.proxy.dataPlane.counters.clientConnectionsOpen === 2);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    await used.untilEnded();
    await fresh.untilEnded();
    used.close();
    fresh.close();
    assert.equal(await drained, true);
    await (await rig.backend.peer()).untilClosed();
  });

  test('ends a connection whose PROXY header comes during the drain, and then nothing', async (t) => {
    const rig = await Rig.start(t, { proxyProtocol: true, settings: { headTimeoutMs: 3_600_000 } });
    const client = await rig.send('PROXY TCP4 1.');
    await until('the connection', () => rig.proxy.dataPlane.counters.clientConnectionsOpen === 1);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    client.send('2.3.4 1.1.1.1 1 2\r\n');
    await client.untilEnded();
    client.close();
    assert.equal(await drained, true);
  });

  test('ends an active response whose head has already been sent together with its connection', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/1') + get('/2'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    await client.expect('hello');
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    peer.send('world');
    await client.untilEnded();
    client.close();
    assert.equal(await drained, true);
    assert.match(client.received, /helloworld$/);
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });

  test('ends a connection whose client has not read its response', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.client();
    client.socket.pause();
    const body = 'x'.repeat(500_000);
    rig.backend.serve(() => response(body));
    client.send(get('/').repeat(40));
    const { counters } = rig.proxy.dataPlane;
    await until('the responses', () => counters.requests > 1);
    await untilStill('the proxy to wait', () => counters.requests);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    client.socket.resume();
    await client.untilEnded();
    client.close();
    assert.equal(await drained, true);
    assert.ok(counters.requests < 40);
  });

  test('ends whatever takes too long', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    await rig.backend.receive('\r\n\r\n');
    assert.equal(await rig.proxy.dataPlane.drain({ forMs: 10, closeCode: 1001 }), false);
    await until('the end', () => client.closed || client.ended);
    await (await rig.backend.peer()).untilClosed();
  });

  test('accepts no further connections', async (t) => {
    const rig = await Rig.start(t);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    await until('the end of accepting', () =>
      rig.client().then(
        () => false,
        ({ code }) => code === 'ECONNREFUSED',
      ),
    );
    assert.equal(await drained, true);
  });

  test('accepts and serves the connections that had been made before', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('done'));
    const clients = Array.from({ length: 40 }, () => connect({ host: '127.0.0.1', port: rig.proxy.port }));
    // libuv accepts one connection a turn: most of them are still in the queue.
    await Promise.all(clients.map((client) => new Promise((resolve) => client.once('connect', resolve))));
    assert.ok(rig.proxy.dataPlane.counters.clientConnections < 20);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    const responses = await Promise.all(clients.map((client) => askOn(client, 'a.test')));
    for (const one of responses) assert.match(one, /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n/);
    assert.equal(await drained, true);
  });
});

describe('listening', () => {
  test('fails with a hint', async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.after(() => taken.close());
    const address = taken.address();
    assert.ok(typeof address === 'object' && address !== null);
    const proxy = new TestProxy();
    t.after(() => proxy.stop());
    const traits = { secure: false, proxyProtocol: false };
    await assert.rejects(proxy.dataPlane.listen({ address: '127.0.0.1', port: address.port, ...traits }), {
      code: 'LISTEN_FAILED',
      message: /^cannot listen on 127\.0\.0\.1:\d+: another program listens there/,
    });
    await assert.rejects(proxy.dataPlane.listen({ address: '192.0.2.1', port: 0, ...traits }), {
      message: /this machine has no such address/,
    });
  });
});

test('a closed proxy leaves nothing open, whatever was in progress', async (t) => {
  const rig = await Rig.start(t, { settings: { backendConnectionsMax: 2 } });
  for (let count = 0; count < 10; count++) {
    await rig.send(get('/'));
    await rig.send('GET / HT');
    await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 10')}hello`);
  }
  await until('the requests', () => rig.proxy.dataPlane.counters.requestsInFlight === 20);
  await rig.proxy.stop();
});
