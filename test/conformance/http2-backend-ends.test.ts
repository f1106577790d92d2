import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { goAwayFrame, Http2Error, Setting, settingsFrame } from '../../src/http2/frame.ts';
import { Http2Backend } from '../helpers/http2-backend.ts';
import { headers, noSettings } from '../helpers/http2-frames.ts';
import { get, Rig } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const ok = [':status: 200', 'x-app: one'];

/** A proxy whose host has one backend that begins with these frames. */
async function start(t: TestContext, settings = noSettings): Promise<{ rig: Rig; backend: Http2Backend }> {
  const rig = await Rig.start(t, { settings: { retriesMax: 0, connectTimeoutMs: 500 } });
  const backend = await Http2Backend.start(t, { settings });
  rig.proxy.route('a.test', [backend.url]);
  return { rig, backend };
}

describe('a new connection over HTTP/2', () => {
  it('serves the request that it is for while the process drains, and ends behind it', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    const client = await rig.send(get('/').slice(0, 10));
    const drained = rig.proxy.dataPlane.drain({ forMs: 10_000, closeCode: 1001 });
    client.send(get('/').slice(10));
    await client.expect(/^HTTP\/1\.1 200 /);
    await client.untilEnded();
    client.close();
    assert.equal(await drained, true);
    assert.equal(backend.peers.length, 1);
    await backend.peer.raw.untilClosed();
  });

  it('waits for a backend that takes no streams yet, in the time to connect', async (t) => {
    const { rig, backend } = await start(t, settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 0]]));
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 504 .*BACKEND_CONNECT_TIMEOUT/s);
    assert.equal(backend.peers.length, 1);
    const client = await rig.send(get('/'));
    await backend.connections(2);
    backend.peers[1]?.send(settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 1]]));
    await client.expect(/^HTTP\/1\.1 200 /);
  });

  it('gets no request if the backend goes away at once', async (t) => {
    const { rig, backend } = await start(t, noSettings + goAwayFrame(0, Http2Error.NO_ERROR));
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 502 .*BACKEND_CONNECT_REFUSED/s);
    assert.deepEqual(
      backend.peer.lines.filter((line) => line.startsWith('HEADERS')),
      [],
    );
  });
});

/** Whether the kernel is going to probe the peer of a socket over IPv4: the timer of its line is that of keep-alive. */
function isProbed(isIt: (local: number, remote: number) => boolean): boolean {
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1, -1);
  const port = (address = ''): number => Number.parseInt(address.split(':')[1] ?? '', 16);
  const own = lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote]) => isIt(port(local), port(remote)));
  return own.length > 0 && own.every(([, , , , , timer]) => timer?.startsWith('02:'));
}

describe('connections over HTTP/2, which may be silent for long', () => {
  it('notice peers that have vanished: backends, and clients', async (t) => {
    const rig = await Rig.start(t, { protocols: ['h2'] });
    const backend = await Http2Backend.start(t);
    rig.proxy.route('a.test', [backend.url]);
    const client = await rig.http2();
    client.send(headers(1, [':method: GET', ':scheme: https', ':path: /', ':authority: a.test']));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    const port = Number(new URL(backend.url.replace('h2c:', 'http:')).port);
    await until('probes of the backend', () => isProbed((_local, remote) => remote === port));
    const { localPort, remotePort } = client.raw.socket;
    await until('probes of the client', () =>
      isProbed((local, remote) => local === remotePort && remote === localPort),
    );
  });
});
