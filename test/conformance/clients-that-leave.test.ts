import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { Authority } from '../helpers/authority.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { TlsRig } from '../helpers/tls-rig.ts';
import { until, untilStill } from '../helpers/until.ts';

describe('100 clients that leave a slow page', () => {
  test('free their connections to the backend: the next request is served at once', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(({ startLine }) => (startLine.includes('/slow') ? '' : response('served')));
    const clients = await Promise.all(Array.from({ length: 100 }, () => rig.send(get('/slow'))));
    await until('all requests', () => rig.backend.requests.length === 100);
    for (const { socket } of clients) socket.end();
    await rig.proxy.untilQuiet();
    const next = await rig.send(get('/'));
    await next.expect('served');
    assert.deepEqual(next.statuses, [200]);
  });

  test('leave the queue: the backend never gets their requests', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1 } });
    rig.backend.serve(({ startLine }) => (startLine.includes('/slow') ? '' : response('served')));
    await rig.send(get('/slow'));
    await until('the first request', () => rig.backend.requests.length === 1);
    const waiting = await Promise.all(Array.from({ length: 100 }, () => rig.send(get('/queued'))));
    const { counters } = rig.proxy.dataPlane;
    await until('all requests', () => counters.requestsInFlight === 101);
    const next = await rig.send(get('/next'));
    await until('the next request', () => counters.requestsInFlight === 102);
    for (const { socket } of waiting) socket.end();
    await until('their end', () => counters.requestsInFlight === 2);
    await rig.backend.peer().then(({ socket }) => socket.end(response('slow')));
    await next.expect('served');
    assert.doesNotMatch(rig.backend.received, /queued/);
  });

  test('leave while their route is loaded: the backend never gets their requests', async (t) => {
    const gate = Promise.withResolvers<void>();
    const rig = await Rig.start(t, { beforeLoad: () => gate.promise });
    rig.backend.serve(() => response('served'));
    const client = await rig.send(get('/left'));
    const { counters } = rig.proxy.dataPlane;
    await until('the request', () => counters.requestsInFlight === 1);
    client.socket.end();
    await rig.proxy.untilQuiet();
    gate.resolve();
    const next = await rig.send(get('/next'));
    await next.expect('served');
    assert.doesNotMatch(rig.backend.received, /left/);
  });
});

describe('a client that pipelined more than is read ahead', () => {
  for (const how of ['end', 'resetAndDestroy'] as const) {
    test(`and leaves (${how}) during its last request ends that on the backend`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(({ startLine }) => (startLine.includes('/slow') ? '' : response('served')));
      const client = await rig.send(get('/first') + get('/slow', `X-Big: ${'x'.repeat(9000)}`));
      await client.expect('served');
      await rig.backend.receive('/slow');
      client.socket[how]();
      await rig.proxy.untilQuiet();
    });
  }

  test('and resets its connection with requests behind the current one ends that on the backend', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/slow') + get('/', `X-Big: ${'x'.repeat(9000)}`));
    await rig.backend.receive('/slow');
    client.socket.resetAndDestroy();
    await rig.proxy.untilQuiet();
  });
});

/** The beginning of a request whose body is far from complete. */
const upload = request('POST / HTTP/1.1', 'Content-Length: 100000000');

async function startTls(t: TestContext, options: RigOptions): Promise<TlsRig> {
  const authority = new Authority();
  t.after(() => authority.dispose());
  return TlsRig.start(t, { authority, own: authority.issue(['a.test']), ...options });
}

test('a client that leaves over TLS ends its request on the backend', async (t) => {
  const tls = await startTls(t, {});
  for (const end of ['end', 'destroy'] as const) {
    const socket = await tls.connect();
    socket.write(get('/slow'));
    await until('the request', () => tls.rig.backend.peers.at(-1)?.received.endsWith('\r\n\r\n') === true);
    socket[end]();
    await tls.rig.backend.peers.at(-1)?.untilClosed();
  }
  await tls.rig.proxy.untilQuiet();
});

describe('a client that resets its connection', () => {
  test('while the backend does not read its upload ends the request on the backend', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(upload);
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.socket.pause();
    const block = 'x'.repeat(1_000_000);
    for (let sent = 0; sent < 50; sent++) client.send(block);
    await untilStill('the upload to stop', () => client.socket.bytesWritten - client.socket.writableLength);
    assert.ok(client.socket.writableLength > 0);
    client.socket.resetAndDestroy();
    await rig.proxy.untilQuiet();
    peer.socket.resume();
    await peer.untilClosed();
  });

  test('in the queue, with a body under way, leaves the queue', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1, queueTimeoutMs: 3_600_000 } });
    await rig.send(get('/first'));
    await rig.backend.receive('/first');
    const client = await rig.send(`${upload}some of the body`);
    const { counters } = rig.proxy.dataPlane;
    await until('both requests', () => counters.requestsInFlight === 2);
    client.socket.resetAndDestroy();
    await until('its end', () => counters.requestsInFlight === 1);
  });

  test('over TLS, in the queue, with a body under way, leaves the queue', async (t) => {
    const tls = await startTls(t, { settings: { backendConnectionsMax: 1, queueTimeoutMs: 3_600_000 } });
    await tls.rig.send(get('/first'));
    await tls.rig.backend.receive('/first');
    const socket = connect(tls.port, '127.0.0.1');
    const client = await tls.connect({ socket });
    client.write(`${upload}some of the body`);
    const { counters } = tls.rig.proxy.dataPlane;
    await until('both requests', () => counters.requestsInFlight === 2);
    socket.resetAndDestroy();
    await until('its end', () => counters.requestsInFlight === 1);
  });
});
