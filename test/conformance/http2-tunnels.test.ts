import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Http2Error, resetFrame, windowUpdateFrame } from '../../src/http2/frame.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import type { Http2Client } from '../helpers/http2-client.ts';
import { data, headers } from '../helpers/http2-frames.ts';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import { Rig } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const handshake = [
  ...[':method: CONNECT', ':protocol: websocket', ':scheme: http', ':path: /chat?x=1', ':authority: a.test'],
  ...['sec-websocket-version: 13', 'sec-websocket-protocol: chat', 'origin: http://a.test'],
];
/** A text frame of a server: `hello`. */
const hello = '\x81\x05hello';

function start(t: TestContext): Promise<Rig> {
  return Rig.start(t, { protocols: ['h2', 'http/1.1'] });
}

/** The key that the backend got. */
function keyOf({ received }: BackendPeer): string {
  return /\r\nsec-websocket-key: ([A-Za-z0-9+/]{22}==)\r\n/.exec(received)?.[1] ?? '';
}

function switching(peer: BackendPeer, ...lines: readonly string[]): string {
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', ...lines];
  return `${[...head, `Sec-WebSocket-Accept: ${acceptOf(keyOf(peer))}`].join('\r\n')}\r\n\r\n`;
}

/** A tunnel on stream 1. */
async function open(rig: Rig): Promise<{ client: Http2Client; peer: BackendPeer }> {
  const client = await rig.http2();
  client.send(headers(1, handshake, false));
  await rig.backend.receive('\r\n\r\n');
  const peer = await rig.backend.peer();
  peer.send(switching(peer));
  await client.expect(/^HEADERS 1 :status: 200/);
  return { client, peer };
}

describe('a WebSocket over HTTP/2 (RFC 8441)', () => {
  test('reaches a backend as a handshake of HTTP/1.1, with a key and an accept of its own', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, [...handshake, 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=='], false));
    await rig.backend.receive('\r\n\r\n');
    const peer = await rig.backend.peer();
    assert.match(peer.received, /^GET \/chat\?x=1 HTTP\/1\.1\r\nHost: a\.test\r\n/);
    assert.match(
      peer.received,
      /\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\norigin: http:\/\/a\.test\r\n/,
    );
    assert.match(peer.received, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/);
    assert.notEqual(keyOf(peer), '');
    assert.doesNotMatch(peer.received, /AAAAAAAA/);
    peer.send(switching(peer, 'Sec-WebSocket-Protocol: chat'));
    await client.expect('HEADERS 1 :status: 200, sec-websocket-protocol: chat');
  });

  test('carries bytes in both directions, beside requests', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    peer.send(hello);
    await client.expect(`DATA 1 ${hello}`);
    client.send(data(1, '\x81\x82\0\0\0\0hi'));
    await until('the frame at the backend', () => peer.received.endsWith('\x81\x82\0\0\0\0hi'));
    client.send(headers(3, [':method: GET', ':scheme: http', ':path: /', ':authority: a.test']));
    const second = await rig.backend.peer(1);
    await until('the request', () => second.received.includes('\r\n\r\n'));
    second.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    assert.equal((await client.response(3))?.body, 'ok');
    assert.equal(rig.proxy.dataPlane.counters.tunnelsOpen, 1);
  });

  test('carries bytes that came before the response of the backend', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, handshake, false), data(1, '\x81\x82\0\0\0\0hi'));
    await rig.backend.receive('\r\n\r\n');
    const peer = await rig.backend.peer();
    assert.doesNotMatch(peer.received, /hi$/);
    peer.send(switching(peer) + hello);
    await client.expect(`DATA 1 ${hello}`);
    await until('the frame at the backend', () => peer.received.endsWith('hi'));
  });

  test('waits for a client that does not read, and for a backend', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    const large = `\x82\x7f\0\0\0\0\0\x03\x0d\x40${'x'.repeat(200_000)}`;
    peer.send(large);
    await until('the window', () => client.dataBytes(1) === 65_535);
    client.send(windowUpdateFrame(0, 1_000_000), windowUpdateFrame(1, 1_000_000));
    await until('the rest', () => client.dataBytes(1) === large.length);
  });

  test('ends where the backend ends it', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    peer.send('\x88\x02\x03\xe8');
    peer.socket.end();
    await client.expect('END 1');
    client.send(data(1, '\x88\x82\0\0\0\0\x03\xe8', true));
    await peer.untilClosed();
    await until('its end', () => rig.proxy.dataPlane.counters.tunnelsOpen === 0);
    assert.equal(rig.proxy.ended.at(-1)?.errorCode, null);
  });

  test('ends where the client resets its stream, and only it', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    client.send(resetFrame(1, Http2Error.CANCEL));
    await peer.untilClosed();
    await until('its end', () => rig.proxy.dataPlane.counters.tunnelsOpen === 0);
    assert.equal(rig.proxy.ended.at(-1)?.errorCode, 'CLIENT_GONE');
    rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    client.send(headers(3, [':method: GET', ':scheme: http', ':path: /', ':authority: a.test']));
    assert.equal((await client.response(3))?.body, 'ok');
  });

  test('ends where the backend resets it', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    peer.socket.resetAndDestroy();
    await client.expect('RST_STREAM 1 CANCEL');
    await until('its end', () => rig.proxy.dataPlane.counters.tunnelsOpen === 0);
  });

  test('ends with the connection', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    client.raw.close();
    await peer.untilClosed();
    await until('its end', () => rig.proxy.dataPlane.counters.tunnelsOpen === 0);
  });

  test('gets a Close when the proxy stops', async (t) => {
    const rig = await start(t);
    const { client, peer } = await open(rig);
    const drained = rig.proxy.dataPlane.drain({ forMs: 2000, closeCode: 1001 });
    await client.expect('DATA 1 \x88\x02\x03\xe9');
    await client.expect(/^GOAWAY /);
    client.send(data(1, '\x88\x82\0\0\0\0\x03\xe9', true));
    peer.socket.end();
    await client.expect('END 1');
    await until('the end of the connection', () => client.raw.ended);
    client.raw.socket.end();
    assert.equal(await drained, true);
  });

  test('gets the response of a backend that refuses it', async (t) => {
    const rig = await start(t);
    rig.backend.respondToEach('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    const client = await rig.http2();
    client.send(headers(1, handshake, false));
    const response = await client.response(1);
    assert.deepEqual([response?.status, response?.body], [403, 'no']);
    await client.expect('RST_STREAM 1 NO_ERROR');
  });

  test('that the backend takes for an ordinary request gets 502: a success would be its WebSocket', async (t) => {
    const rig = await start(t);
    rig.backend.respondToEach('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    const client = await rig.http2();
    client.send(headers(1, handshake, false));
    assert.equal((await client.response(1))?.status, 502);
    assert.equal(
      client.lines.some((line) => line.includes('DATA 1 hello')),
      false,
    );
    const [ended] = rig.proxy.ended;
    assert.deepEqual([ended?.status, ended?.errorCode], [502, 'BACKEND_RESPONSE_INVALID']);
    // What it still sends is for nobody.
    await (await rig.backend.peer()).untilClosed();
    assert.equal(rig.proxy.dataPlane.counters.requestsInFlight, 0);
  });

  test('with a wrong accept of the backend gets 502', async (t) => {
    const rig = await start(t);
    rig.backend.respondToEach(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n',
    );
    const client = await rig.http2();
    client.send(headers(1, handshake, false));
    assert.equal((await client.response(1))?.status, 502);
  });

  const refused: Readonly<Record<string, readonly [lines: readonly string[], endsStream: boolean, status: number]>> = {
    'of another version': [handshake.map((line) => line.replace('version: 13', 'version: 8')), false, 426],
    'without a version': [handshake.filter((line) => !line.includes('version')), false, 426],
    'of another protocol': [handshake.map((line) => line.replace(': websocket', ': connect-udp')), false, 405],
    'without a path': [handshake.filter((line) => !line.startsWith(':path')), false, 400],
    'that ends with its head': [handshake, true, 400],
    // A backend that refuses it would take the next request for the body.
    'with a content length': [[...handshake, 'content-length: 160'], false, 400],
    'with an expectation': [[...handshake, 'expect: 100-continue'], false, 400],
  };
  for (const [what, [lines, endsStream, status]] of Object.entries(refused)) {
    test(`${what} is refused`, async (t) => {
      const rig = await start(t);
      const client = await rig.http2();
      client.send(headers(1, lines, endsStream));
      assert.equal((await client.response(1))?.status, status);
      assert.equal(rig.backend.peers.length, 0);
    });
  }
});
