import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { headers } from '../helpers/http2-frames.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, request, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const post = `${request('POST /2 HTTP/1.1', 'Content-Length: 1')}x`;

/** A client whose request has left an idle connection that is too old for a request that must not be sent twice. */
async function withOldConnection(t: TestContext, settings: { descriptorsMax: number; backendConnectionsMax?: number }) {
  const rig = await Rig.start(t, { settings });
  rig.backend.serve(() => response('served'));
  const client = await rig.send(get('/1'));
  await client.expect('served');
  const begun = performance.now();
  await until('the connection to be old', () => performance.now() - begun > 1100);
  client.received = '';
  return { rig, client };
}

test('a connection of HTTP/2 without requests ends after its time, with a goodbye', async (t) => {
  const rig = await Rig.start(t, { protocols: ['h2', 'http/1.1'], settings: { keepAliveMs: 300 } });
  rig.backend.serve(() => response('served'));
  const client = await rig.http2();
  client.send(headers(1, [':method: GET', ':scheme: http', ':path: /', ':authority: a.test']));
  assert.equal((await client.response(1))?.body, 'served');
  await client.expect('GOAWAY 1 NO_ERROR');
  await until('its end', () => client.raw.ended);
});

describe('when all descriptors are in use', () => {
  test('the idle connection of the same backend makes room, and its pool goes on', async (t) => {
    const { rig, client } = await withOldConnection(t, { descriptorsMax: 2 });
    client.send(post);
    await client.expect('served');
    const { counters, origins } = rig.proxy.dataPlane;
    await until('one connection', () => counters.backendConnectionsOpen === 1);
    assert.equal(origins.size, 1);
  });

  test('an idle connection of HTTP/2 makes room, at once and with a goodbye', async (t) => {
    const rig = await Rig.start(t, { protocols: ['h2', 'http/1.1'], settings: { descriptorsMax: 3 } });
    rig.backend.serve(() => response('served', '200 OK', 'Connection: close'));
    const idle = await rig.http2();
    await idle.expect('SETTINGS');
    const { counters } = rig.proxy.dataPlane;
    await rig.http2();
    await until('both', () => counters.clientConnectionsOpen === 2);
    for (let count = 0; count < 2; count++) {
      const client = await rig.send(get('/'));
      await client.expect('served');
    }
    await idle.expect(/^GOAWAY 0 NO_ERROR/);
    assert.ok(counters.clientConnectionsOpen + counters.backendConnectionsOpen <= 3);
  });

  test('a full pool replaces its idle connection', async (t) => {
    const { client } = await withOldConnection(t, { descriptorsMax: 2, backendConnectionsMax: 1 });
    client.send(post);
    await client.expect('HTTP/1.1 ');
    assert.deepEqual(client.statuses, [200]);
  });

  test('a connection that ends gives its place to the queue', async (t) => {
    const rig = await Rig.start(t, { settings: { descriptorsMax: 4, backendConnectionsMax: 1 } });
    const clients: RawClient[] = [await rig.send(get('/1'))];
    await rig.backend.receive('/1');
    for (const path of ['/2', '/3']) clients.push(await rig.send(get(path)));
    await until('all requests', () => rig.proxy.dataPlane.counters.requestsInFlight === 3);
    rig.backend.serve(() => response('ok', '200 OK', 'Connection: close'));
    (await rig.backend.peer()).send(response('ok', '200 OK', 'Connection: close'));
    for (const client of clients) {
      await client.expect('HTTP/1.1 ');
      assert.deepEqual(client.statuses, [200]);
    }
    await until('the end of the pool', () => rig.proxy.dataPlane.origins.size === 0);
  });

  test('a failed attempt gives its place to the next one', async (t) => {
    const rig = await Rig.start(t, { backends: 2, random: () => 0, settings: { descriptorsMax: 2 } });
    const client = await rig.send(get('/1'));
    rig.backends[1]?.serve(() => response('second'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('/1');
    peer.socket.end();
    await client.expect('second');
  });

  test('and no connection can make room, a request gets 503, and so do those behind it; nothing is left', async (t) => {
    const rig = await Rig.start(t, { settings: { descriptorsMax: 1 } });
    const client = await rig.send(get('/1'));
    await client.expect('503');
    assert.match(client.received, /x-hipache-error: OVERLOADED/);
    assert.equal(rig.proxy.dataPlane.origins.size, 0);
  });
});
