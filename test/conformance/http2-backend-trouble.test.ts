import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  FrameType,
  frameHead,
  goAwayFrame,
  Http2Error,
  pingFrame,
  resetFrame,
  Setting,
  settingsFrame,
  windowUpdateFrame,
} from '../../src/http2/frame.ts';
import { Http2Backend } from '../helpers/http2-backend.ts';
import { data, frame, headers } from '../helpers/http2-frames.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const ok = [':status: 200', 'x-app: one'];
const post = `${request('POST / HTTP/1.1', 'Content-Length: 1')}x`;

/** A host with a backend of HTTP/2, which is asked first, and one of HTTP/1.1. */
async function start(t: TestContext, options: RigOptions = {}, settings = settingsFrame([])) {
  const rig = await Rig.start(t, { random: () => 0, ...options });
  rig.backend.serve(() => response('other'));
  const backend = await Http2Backend.start(t, { settings });
  rig.proxy.route('a.test', [backend.url, rig.backend.url]);
  return { rig, backend };
}

describe('trouble on a connection of HTTP/2 to a backend', () => {
  it('an error of the connection costs no request that waited for it', async (t) => {
    const one = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 1]]);
    const { rig, backend } = await start(t, { settings: { backendConnectionsMax: 1, retriesMax: 0 } }, one);
    rig.proxy.route('a.test', [backend.url]);
    const first = await rig.send(get('/'));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    const others = await Promise.all([1, 2, 3].map(() => rig.send(post)));
    await until('three that wait', () => rig.proxy.dataPlane.origins.waitingRequests === 3);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    backend.peer.send(frame(FrameType.SETTINGS, 0, 1));
    await first.expect(/^HTTP\/1\.1 502 /);
    for (const other of others) await other.expect(/x-app: one/);
  });

  it('requests that the first connection has no room for get others', async (t) => {
    const one = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 1]]);
    const { rig, backend } = await start(t, {}, one);
    rig.proxy.route('a.test', [backend.url]);
    const clients = await Promise.all([1, 2, 3, 4, 5].map(() => rig.send(get('/'))));
    await backend.connections(5);
    for (const peer of backend.peers) {
      await peer.expect('END 1');
      peer.send(headers(1, ok));
    }
    for (const client of clients) await client.expect(/x-app: one/);
    assert.equal(rig.proxy.dataPlane.origins.waitingRequests, 0);
  });

  it('small messages, each of which it measures the line with, as grpc-go does, are no flood', async (t) => {
    const { rig, backend } = await start(t, { protocols: ['h2'] });
    const client = await rig.http2();
    const asked = [':method: POST', ':scheme: http', ':path: /', ':authority: a.test'];
    client.send(headers(1, [...asked, 'content-type: application/grpc'], false));
    await backend.connections(1);
    await backend.peer.expect(/^HEADERS 1 /);
    let seen = 0;
    backend.onFrame((peer, line) => {
      if (!line.startsWith('DATA 1')) return;
      seen++;
      peer.send(windowUpdateFrame(0, 50), windowUpdateFrame(1, 50), pingFrame(false, 'measured'));
    });
    // Each in a turn of its own.
    for (let sent = 0; sent < 4000; sent += 10) {
      for (let i = 0; i < 10; i++) client.send(data(1, 'x'.repeat(50)));
      await until('them at the backend', () => backend.peer.dataBytes(1) >= 50 * (sent + 10));
    }
    assert.ok(seen > 300);
    assert.equal(
      backend.peer.all.some((line) => line.startsWith('GOAWAY')),
      false,
    );
    backend.peer.send(headers(1, ok));
    await client.expect('END 1');
  });

  it('what comes on cancelled streams ends no connection', async (t) => {
    const { rig, backend } = await start(t);
    rig.proxy.route('a.test', [backend.url]);
    const clients = await Promise.all(Array.from({ length: 6 }, () => rig.send(get('/'))));
    await backend.connections(1);
    for (let stream = 1; stream <= 11; stream += 2) await backend.peer.expect(`END ${stream}`);
    const other = await rig.send(get('/'));
    await backend.peer.expect('END 13');
    for (const client of clients) client.close();
    for (let stream = 1; stream <= 11; stream += 2) await backend.peer.expect(`RST_STREAM ${stream} CANCEL`);
    const head = headers(1, ok, false).slice(frameHead(0, 0, 0, 0).length);
    for (let stream = 1; stream <= 11; stream += 2) {
      backend.peer.send(
        frame(FrameType.HEADERS, 4, stream, head),
        ...new Array(650).fill(data(stream, 'x'.repeat(100))),
      );
    }
    backend.peer.send(headers(13, ok));
    await other.expect(/x-app: one/);
    assert.equal(backend.peers.length, 1);
  });

  it('a reset while the client still sends marks nothing', async (t) => {
    const { rig, backend } = await start(t, { settings: { retriesMax: 0 } });
    backend.onFrame((peer, line) => {
      const [, stream] = /^HEADERS (\d+) /.exec(line) ?? [];
      if (stream !== undefined) peer.send(resetFrame(Number(stream), Http2Error.CANCEL));
    });
    for (let i = 0; i < 8; i++) {
      const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 100'));
      await client.expect(/^HTTP\/1\.1 502 /);
      client.close();
    }
    assert.deepEqual(rig.proxy.marks, []);
  });

  it('a backend that does not speak it is marked, and another one asked', async (t) => {
    const { rig } = await start(t);
    const wrong = await Http2Backend.start(t, { settings: 'HTTP/1.1 400 Bad Request\r\n\r\n' });
    rig.proxy.route('a.test', [wrong.url, rig.backend.url]);
    assert.match(await rig.ask(post), /other$/);
    assert.deepEqual(rig.proxy.marks, [{ url: wrong.url, reason: 'BACKEND_CONNECT_REFUSED' }]);
  });

  it('a GOAWAY leaves nobody waiting', async (t) => {
    const one = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 1]]);
    const { rig, backend } = await start(t, { settings: { backendConnectionsMax: 1 } }, one);
    rig.proxy.route('a.test', [backend.url]);
    const first = await rig.send(get('/'));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    const second = await rig.send(get('/'));
    await until('one that waits', () => rig.proxy.dataPlane.origins.waitingRequests === 1);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    backend.peer.send(goAwayFrame(1, Http2Error.NO_ERROR), headers(1, ok));
    for (const client of [first, second]) await client.expect(/x-app: one/);
    assert.equal(backend.peers.length, 2);
  });

  it('a fault in our own handling of a response ends that exchange alone', async (t) => {
    const { rig, backend } = await start(t, { settings: { retriesMax: 0 } });
    rig.proxy.route('a.test', [backend.url]);
    rig.proxy.options('a.test', { responseTimeout: '20s' });
    const clients = await Promise.all([1, 2].map(() => rig.send(get('/'))));
    await backend.connections(1);
    await backend.peer.expect('END 3');
    const frontend = rig.proxy.frontend('a.test');
    const policy = frontend.policy ?? assert.fail('no policy');
    let faults = 0;
    frontend.policy = new Proxy(policy, {
      get(target, key) {
        if (key === 'responseEdits' && faults++ === 0) throw new Error('a fault');
        return Reflect.get(target, key);
      },
    });
    backend.peer.send(headers(1, ok));
    await until('the end of one', () => clients.some(({ closed }) => closed));
    backend.peer.send(headers(3, ok));
    await until('a response for the other', () => clients.some(({ received }) => /x-app: one/.test(received)));
    assert.equal(backend.peers.length, 1);
    assert.equal(rig.proxy.problems.length, 1);
    rig.proxy.problems.length = 0;
  });

  it('a ping is due although other requests end meanwhile', async (t) => {
    const rig = await Rig.start(t, { settings: { retriesMax: 0 } });
    const backend = await Http2Backend.start(t, { pongs: false });
    for (const [host, timeout] of [
      ['a.test', '100ms'],
      ['b.test', '0s'],
    ] as const) {
      rig.proxy.route(host, [backend.url]);
      rig.proxy.options(host, { responseTimeout: timeout });
    }
    const patient = await rig.send(get('/').replace('a.test', 'b.test'));
    const hasty = await Promise.all([1, 2].map(() => rig.send(get('/'))));
    for (const client of hasty) await client.expect(/^HTTP\/1\.1 504 /);
    // The connection ends, though nothing else would end this request.
    await patient.expect(/^HTTP\/1\.1 502 /);
  });
});

describe('a request that only looks like a call of gRPC', () => {
  it('holds no connection to a backend of HTTP/1.1 while its body does not come', async (t) => {
    const settings = { bodyRateMin: 1000, bodyGraceMs: 50, inactivityMs: 300 };
    const rig = await Rig.start(t, { protocols: ['h2'], settings });
    const client = await rig.http2();
    const asked = [':method: POST', ':scheme: http', ':path: /', ':authority: a.test'];
    client.send(headers(1, [...asked, 'content-type: application/grpc', 'grpc-timeout: 99999999H'], false));
    // As for a call, which it is by what it says.
    await client.expect(/^HEADERS 1 :status: 200, .*x-hipache-error: REQUEST_TIMEOUT/);
    assert.equal(rig.backend.peers.length, 0);
  });
});
