import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Http2Error, resetFrame, Setting, settingsFrame } from '../../src/http2/frame.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { Http2Backend } from '../helpers/http2-backend.ts';
import { data, headers } from '../helpers/http2-frames.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, type RigOptions } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`];
const hello = '\x81\x05hello';
const masked = '\x81\x82\0\0\0\0hi';
const takesProtocols = settingsFrame([[Setting.ENABLE_CONNECT_PROTOCOL, 1]]);

async function start(t: TestContext, settings = takesProtocols, options: RigOptions = {}) {
  const rig = await Rig.start(t, options);
  const backend = await Http2Backend.start(t, { settings });
  // Another one, so that the first may be marked.
  rig.proxy.route('a.test', [backend.url, `${rig.backend.url}#backup`]);
  return { rig, backend };
}

/** A WebSocket of a client of HTTP/1.1, on stream 1 of the backend. */
async function open(rig: Rig, backend: Http2Backend): Promise<RawClient> {
  const client = await rig.send(get('/chat?x=1', ...upgrade));
  await backend.connections(1);
  await backend.peer.expect(/^HEADERS 1 /);
  backend.peer.send(headers(1, [':status: 200', 'x-app: one'], false));
  await client.expect(/\r\n\r\n/);
  return client;
}

describe('a WebSocket to a backend of HTTP/2 (RFC 8441)', () => {
  it('is an extended CONNECT, and the client of HTTP/1.1 gets its 101', async (t) => {
    const { rig, backend } = await start(t);
    const client = await open(rig, backend);
    const [head = ''] = backend.peer.lines;
    assert.match(head, /^HEADERS 1 :method: CONNECT, :protocol: websocket, :scheme: http, :authority: a\.test, /);
    assert.match(head, /, :path: \/chat\?x=1, sec-websocket-version: 13, /);
    assert.doesNotMatch(head, /sec-websocket-key|upgrade|connection:/);
    assert.equal(backend.peer.lines.includes('END 1'), false);
    assert.match(client.received, /^HTTP\/1\.1 101 .*\r\nx-app: one\r\n/s);
    assert.match(client.received, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/);
    assert.ok(client.received.includes(`\r\nsec-websocket-accept: ${acceptOf(key)}\r\n`));
    client.send(masked);
    await backend.peer.expect(`DATA 1 ${masked}`);
    backend.peer.send(data(1, hello));
    await client.expect(/hello$/);
    client.close();
    await backend.peer.expect(/^(END 1|RST_STREAM 1 CANCEL)$/);
  });

  it('lets the connection serve requests, and ends alone', async (t) => {
    const { rig, backend } = await start(t);
    const client = await open(rig, backend);
    backend.serve((stream, peer) => peer.send(headers(stream, [':status: 200'])));
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
    backend.peer.send(resetFrame(1, Http2Error.CANCEL));
    await until('a reset of the client', () => client.reset || client.closed);
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
    assert.equal(backend.peers.length, 1);
    const tunnel = rig.proxy.ended.find(({ status }) => status === 101);
    assert.equal(tunnel?.errorCode, 'BACKEND_RESET');
  });

  it('goes from stream to stream', async (t) => {
    const { rig, backend } = await start(t, takesProtocols, { protocols: ['h2'] });
    const client = await rig.http2();
    const handshake = [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':path: /', ':authority: a.test'];
    client.send(headers(1, [...handshake, 'sec-websocket-version: 13'], false));
    await backend.connections(1);
    await backend.peer.expect(/^HEADERS 1 :method: CONNECT, :protocol: websocket/);
    backend.peer.send(headers(1, [':status: 200'], false), data(1, hello));
    await client.expect('HEADERS 1 :status: 200');
    await client.expect(`DATA 1 ${hello}`);
    client.send(data(1, masked, true));
    await backend.peer.expect(`DATA 1 ${masked}`);
    await backend.peer.expect('END 1');
    backend.peer.send(data(1, '', true));
    await client.expect('END 1');
  });

  it('can be refused by the backend', async (t) => {
    const { rig, backend } = await start(t);
    const client = await rig.send(get('/', ...upgrade));
    await backend.connections(1);
    await backend.peer.expect(/^HEADERS 1 /);
    backend.peer.send(headers(1, [':status: 403'], false), data(1, 'no', true));
    await client.expect(/^HTTP\/1\.1 403 .*no/s);
    client.close();
  });

  it('gets 502 if the backend does not take any, and so does another protocol', async (t) => {
    for (const settings of [settingsFrame([]), takesProtocols]) {
      const { rig } = await start(t, settings, { settings: { upgrades: new Set(['tcp']) } });
      const lines = settings === takesProtocols ? ['Connection: Upgrade', 'Upgrade: tcp'] : upgrade;
      assert.match(await rig.ask(get('/', ...lines)), /^HTTP\/1\.1 502 .*BACKEND_RESPONSE_INVALID/s);
      assert.match(rig.proxy.ended[0]?.errorDetail ?? '', /^(websocket|tcp) over HTTP\/2$/);
      assert.deepEqual(rig.proxy.marks, []);
    }
  });

  it('gets its Close when the proxy stops', async (t) => {
    const { rig, backend } = await start(t);
    const client = await open(rig, backend);
    const drained = rig.proxy.dataPlane.drain({ forMs: 200, closeCode: 1001 });
    await client.expect('\x88\x02\x03\xe9');
    await until('its Close', () => backend.peer.lines.some((line) => line.startsWith('DATA 1 \x88')));
    client.send('\x88\x82\0\0\0\0\x03\xe9');
    backend.peer.send(data(1, '\x88\x02\x03\xe9', true));
    await until('the end of the client', () => client.ended || client.closed);
    client.close();
    await drained;
    await backend.peer.raw.untilClosed();
  });
});
