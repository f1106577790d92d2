import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closeFrame } from '../../src/websocket/frames.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { Rig } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

/** Cases 21 to 27 of hostile input: upgrades and tunnels, by the bytes that reach the backend. */

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`;

/** A handshake. `changes` replaces fields by name; null omits one. */
function handshake(changes: Readonly<Record<string, string | null>> = {}, start = 'GET /chat HTTP/1.1'): string {
  const fields: Record<string, string | null> = {
    Host: 'a.test',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': '13',
    ...changes,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return `${[start, ...lines].join('\r\n')}\r\n\r\n`;
}

/** The backend's connection number `index`, once a complete request head has reached it. */
async function asked(rig: Rig, index = 0): Promise<BackendPeer> {
  await until('a request at the backend', () => rig.backend.peers[index]?.received.includes('\r\n\r\n') === true);
  return rig.backend.peers[index] as BackendPeer;
}

interface Open {
  readonly rig: Rig;
  readonly client: RawClient;
  readonly backend: BackendPeer;
}

async function openTunnel(rig: Rig): Promise<Open> {
  const before = rig.backend.peers.length;
  const client = await rig.send(handshake());
  const backend = await asked(rig, before);
  backend.send(switched);
  await client.expect('\r\n\r\n');
  return { rig, client, backend };
}

test('the handshake reaches the backend, and the 101 the client; then bytes flow both ways', async (t) => {
  const rig = await Rig.start(t);
  const client = await rig.send(handshake({ Origin: 'http://a.test', 'Sec-WebSocket-Protocol': 'chat' }));
  const backend = await asked(rig);
  assert.match(backend.received, /^GET \/chat HTTP\/1\.1\r\n/);
  assert.match(backend.received, /\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n/);
  assert.match(backend.received, /\r\nSec-WebSocket-Protocol: chat\r\n/);
  assert.match(backend.received, /\r\nX-Forwarded-For: /i);
  assert.equal(backend.received.match(/\r\nupgrade:/gi)?.length, 1);
  assert.match(backend.received, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/);
  backend.send(switched.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: chat\r\n\r\n'));
  await client.expect('\r\n\r\n');
  assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(client.received, /\r\nSec-WebSocket-Protocol: chat\r\n/);
  assert.match(client.received, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/);
  client.send('\x81\x85\0\0\0\0hello');
  await until('the frame', () => backend.received.endsWith('\x81\x85\0\0\0\0hello'));
  backend.send('\x81\x05world');
  await client.expect('\x81\x05world');
  assert.equal(rig.proxy.dataPlane.counters.tunnelsOpen, 1);
  backend.socket.end();
  await client.untilEnded();
  client.close();
  await until('the end of the tunnel', () => rig.proxy.ended.length === 1);
  assert.equal(rig.proxy.ended[0]?.status, 101);
});

describe('21, 22: a response other than 101 is an ordinary response', () => {
  test('no other protocol is requested, and the bytes after the request wait their turn', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${handshake({ Upgrade: 'foo' })}GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    const backend = await asked(rig);
    assert.doesNotMatch(backend.received, /upgrade/i);
    assert.doesNotMatch(backend.received, /second/);
    backend.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await until('the second request', () => rig.backend.received.includes('/second'));
    assert.match(rig.backend.received, /GET \/second HTTP\/1\.1\r\nHost: a\.test\r\n/);
    client.close();
  });

  for (const status of [200, 403, 404, 426]) {
    test(`${status} with keep-alive: the next request is routed separately`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(handshake());
      const backend = await asked(rig);
      backend.send(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`);
      await client.expect(/\r\n\r\nno$/);
      client.send('GET / HTTP/1.1\r\nHost: other.test\r\n\r\n');
      await client.expect('frontend not found');
      assert.deepEqual(client.statuses, [status, 400]);
      assert.doesNotMatch(rig.backend.received, /other\.test/);
    });
  }

  test('early bytes after a refused handshake are not a request', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${handshake()}\x81\x85\0\0\0\0hello`);
    const backend = await asked(rig);
    backend.send('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
    await client.untilEnded();
    assert.deepEqual(client.statuses, [403, 400]);
    assert.doesNotMatch(rig.backend.received, /hello/);
  });
});

describe('valid forms of a handshake', () => {
  test('a Content-Length of 0', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(handshake({ 'Content-Length': '0' }));
    const backend = await asked(rig);
    backend.send(switched);
    await client.expect(/^HTTP\/1\.1 101 /);
    client.close();
  });

  for (const target of ['ws://a.test/chat', 'wss://a.test:443/chat', 'http://a.test/chat']) {
    test(`the target ${target}`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(handshake({}, `GET ${target} HTTP/1.1`));
      const backend = await asked(rig);
      assert.match(backend.received, /^GET \/chat HTTP\/1\.1\r\n/);
      backend.send(switched);
      await client.expect(/^HTTP\/1\.1 101 /);
      client.close();
    });
  }
});

describe('23: other protocols are not passed on', () => {
  for (const protocol of ['h2c', 'TLS/1.0', 'websocketx', 'HTTP/2.0']) {
    test(protocol, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(
        handshake({ Upgrade: protocol, Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABkAAQ' }),
      );
      const backend = await asked(rig);
      assert.doesNotMatch(backend.received, /upgrade|http2-settings|h2c/i);
      backend.send(switched);
      await client.expect(/^HTTP\/1\.1 502 /);
    });
  }

  test('of a list, only websocket is passed on', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(handshake({ Upgrade: 'h2c, WebSocket' }));
    const backend = await asked(rig);
    assert.match(backend.received, /\r\nUpgrade: websocket\r\n/);
    assert.doesNotMatch(backend.received, /h2c/);
    client.close();
  });
});

describe('24: invalid handshakes', () => {
  const refused: readonly [string, string, number][] = [
    ['a length', handshake({ 'Content-Length': '5' }).concat('hello'), 400],
    ['chunks', handshake({ 'Transfer-Encoding': 'chunked' }).concat('0\r\n\r\n'), 400],
    ['POST', handshake({}, 'POST /chat HTTP/1.1'), 400],
    ['no key', handshake({ 'Sec-WebSocket-Key': null }), 400],
    ['a short key', handshake({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }), 400],
    ['two keys', handshake({ 'sec-websocket-key': key }), 400],
    ['no version', handshake({ 'Sec-WebSocket-Version': null }), 426],
    ['version 8', handshake({ 'Sec-WebSocket-Version': '8' }), 426],
    ['a list of versions', handshake({ 'Sec-WebSocket-Version': '13, 8' }), 426],
    // The request itself is checked first.
    ['CONNECT', handshake({}, 'CONNECT a.test:80 HTTP/1.1'), 405],
    ['version 8 and a wrong target', handshake({ 'Sec-WebSocket-Version': '8' }, 'GET chat HTTP/1.1'), 400],
  ];
  for (const [name, text, status] of refused) {
    test(`${name}: ${status}, and nothing is passed on`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(text);
      await client.untilEnded();
      assert.deepEqual(client.statuses, [status]);
      if (status === 426) assert.match(client.received, /\r\nsec-websocket-version: 13\r\n/);
      assert.equal(rig.backend.peers.length, 0);
    });
  }

  const ignored: readonly [string, string][] = [
    ['HTTP/1.0', handshake({}, 'GET /chat HTTP/1.0')],
    ['no Connection: upgrade', handshake({ Connection: 'keep-alive' })],
    ['no Connection at all', handshake({ Connection: null })],
  ];
  for (const [name, text] of ignored) {
    test(`${name}: an ordinary request, and a 101 to it is refused`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(text);
      const backend = await asked(rig);
      assert.doesNotMatch(backend.received, /\r\nupgrade:/i);
      backend.send(switched);
      await client.expect(/^HTTP\/1\.[01] 502 /);
      await backend.untilClosed();
    });
  }

  const badResponses: readonly [string, string][] = [
    ['a wrong accept', switched.replace(acceptOf(key), acceptOf('AAAAAAAAAAAAAAAAAAAAAA=='))],
    ['no accept', switched.replace(/Sec-WebSocket-Accept: .*\r\n/, '')],
    ['two accepts', switched.replace('\r\n\r\n', `\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`)],
    ['no Upgrade', switched.replace('Upgrade: websocket\r\n', '')],
    ['another Upgrade', switched.replace('websocket\r\n', 'h2c\r\n')],
    ['no Connection', switched.replace('Connection: Upgrade\r\n', '')],
    ['HTTP/1.0', switched.replace('HTTP/1.1', 'HTTP/1.0')],
  ];
  for (const [name, response] of badResponses) {
    test(`a 101 with ${name}: 502, and nothing of it is passed on`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(`${handshake()}`);
      const backend = await asked(rig);
      backend.send(`${response}\x81\x05leaks`);
      await client.expect(/^HTTP\/1\.1 502 /);
      await backend.untilClosed();
      assert.doesNotMatch(client.received, /leaks|HTTP\/1\.1 101/);
    });
  }
});

describe('25: bytes sent with the handshake', () => {
  test('wait for the 101, neither lost nor early, in both directions', async (t) => {
    const rig = await Rig.start(t);
    const early = `\x82\xfe\x40\x00\0\0\0\0${'e'.repeat(0x4000)}`;
    const client = await rig.send(handshake() + early);
    const backend = await asked(rig);
    client.send('\x81\x84\0\0\0\0more');
    assert.match(backend.received, /\r\n\r\n$/);
    backend.send(`${switched}\x81\x05first`);
    await client.expect('\x81\x05first');
    await until('the early bytes', () => backend.received.endsWith('\x81\x84\0\0\0\0more'));
    assert.ok(backend.received.includes(`\r\n\r\n${early}\x81\x84`));
    client.close();
  });

  test('a handshake that arrives byte by byte', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.client();
    for (const byte of handshake()) client.send(byte);
    const backend = await asked(rig);
    for (const byte of `${switched}\x81\x01x`) backend.send(byte);
    await client.expect('\x81\x01x');
    client.close();
  });
});

describe('26: ends', () => {
  test('a half-close by the client is passed on, and the backend can continue', async (t) => {
    const { client, backend } = await openTunnel(await Rig.start(t));
    client.send('last');
    client.socket.end();
    await until('the end at the backend', () => backend.ended);
    assert.match(backend.received, /last$/);
    backend.send('still');
    await client.expect('still');
    backend.socket.end();
    await client.untilEnded();
  });

  test('a half-close by the backend is passed on, and the client can continue', async (t) => {
    const { client, backend } = await openTunnel(await Rig.start(t));
    backend.send('last');
    backend.socket.end();
    await client.untilEnded();
    assert.match(client.received, /last$/);
    client.send('still');
    await until('what the client sent', () => backend.received.endsWith('still'));
    client.socket.end();
    await backend.untilClosed();
  });

  test('a client that half-closes before the 101 gets what the backend sends', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(handshake());
    const backend = await asked(rig);
    client.socket.end();
    backend.send(`${switched}\x81\x05first`);
    await client.expect('\x81\x05first');
    await until('the end at the backend', () => backend.ended);
    backend.socket.end();
    await client.untilEnded();
  });

  test('a reset by either end resets the other', async (t) => {
    const rig = await Rig.start(t);
    const first = await openTunnel(rig);
    first.client.socket.resetAndDestroy();
    await until('the reset at the backend', () => first.backend.reset);
    const second = await openTunnel(rig);
    second.backend.socket.resetAndDestroy();
    await until('the reset at the client', () => second.client.reset);
    await until('both in the log', () => rig.proxy.ended.length === 2);
    assert.deepEqual(
      rig.proxy.ended.map(({ errorCode }) => errorCode),
      ['CLIENT_GONE', 'BACKEND_RESET'],
    );
  });

  test('a backend that ends before the 101 is an ordinary failure, and another one is tried first', async (t) => {
    const rig = await Rig.start(t, { backends: 2, random: () => 0 });
    const client = await rig.send(handshake());
    const first = await asked(rig);
    first.socket.resetAndDestroy();
    const other = rig.backends[1];
    await until('the second try', () => other?.received.includes('\r\n\r\n') === true);
    other?.peers[0]?.send(switched);
    await client.expect(/^HTTP\/1\.1 101 /);
    client.close();
  });

  test('no backend left: an ordinary response, framed, and the connection is kept', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.route('none.test', ['http://127.0.0.1:1']);
    const client = await rig.send(handshake({ Host: 'none.test' }));
    await client.expect(/^HTTP\/1\.1 502 [\s\S]*<\/html>|^HTTP\/1\.1 502 [\s\S]*\r\n\r\n./);
    client.send(handshake());
    const backend = await asked(rig);
    backend.send(switched);
    await client.expect('101 Switching');
    client.close();
  });

  test('a client that vanishes before the 101 releases the backend', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(handshake());
    const backend = await asked(rig);
    client.socket.resetAndDestroy();
    await backend.untilClosed();
    assert.equal(rig.proxy.dataPlane.counters.tunnels, 0);
  });

  test('a reader that never reads slows the writer down, and takes no memory', async (t) => {
    for (const reader of ['client', 'backend'] as const) {
      const { client, backend } = await openTunnel(await Rig.start(t));
      const [slow, fast] = reader === 'client' ? [client, backend] : [backend, client];
      slow.socket.pause();
      const block = Buffer.alloc(256 * 1024, 120);
      let written = 0;
      // Far more than the kernel and the proxy can hold; the rest stays with this test's writer.
      const sizeMax = 64 * 1024 * 1024;
      const before = process.memoryUsage().rss;
      while (written < sizeMax && fast.socket.write(block)) written += block.length;
      await until('the writer to block', () => fast.socket.writableNeedDrain);
      assert.ok(process.memoryUsage().rss - before < 48 * 1024 * 1024);
      slow.socket.resume();
      await until('the writer to continue', () => !fast.socket.writableNeedDrain);
      client.close();
    }
  });
});

describe('limits of tunnels', () => {
  test('a tunnel that is idle for too long gets 1001, and is closed', async (t) => {
    const rig = await Rig.start(t, { settings: { tunnelIdleMs: 50 } });
    const { client, backend } = await openTunnel(rig);
    await client.expect(closeFrame(1001, null));
    await until('Close at the backend', () => /\x88\x82[\s\S]{6}$/.test(backend.received));
    client.send(closeFrame(1001, 0));
    backend.send(closeFrame(1001, null));
    await client.untilEnded();
    await backend.untilClosed();
    client.socket.end();
    backend.socket.end();
    await until('its line in the log', () => rig.proxy.ended.length === 1);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'TUNNEL_IDLE');
  });

  test('a tunnel that one end has closed is not kept for as long if the other end is silent', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 50 } });
    const { client, backend } = await openTunnel(rig);
    client.socket.end();
    await backend.untilClosed();
    await until('its end', () => rig.proxy.ended.length === 1);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'TUNNEL_IDLE');
  });

  test('more than a host may have get 503', async (t) => {
    const rig = await Rig.start(t, { settings: { tunnelsMax: 1 } });
    const { client } = await openTunnel(rig);
    const second = await rig.send(handshake());
    await second.expect(/^HTTP\/1\.1 503 /);
    client.socket.resetAndDestroy();
    await until('the end of the first', () => rig.proxy.dataPlane.counters.tunnelsOpen === 0);
    await openTunnel(rig);
  });

  test('a tunnel is not a connection of the pool, but counts for balancing', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1 } });
    await openTunnel(rig);
    await openTunnel(rig);
    assert.equal(rig.proxy.dataPlane.counters.backendConnectionsOpen, 0);
    assert.equal(rig.proxy.frontend('a.test').backends[0]?.inFlight, 2);
  });
});
