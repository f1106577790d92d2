import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { closeFrame } from '../../src/websocket/frames.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig } from '../helpers/rig.ts';
import { until, untilStill } from '../helpers/until.ts';

/** How tunnels end with their process: a Close to both ends, between frames and never inside one. */

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`;
const handshake = get(
  '/',
  'Upgrade: websocket',
  'Connection: Upgrade',
  `Sec-WebSocket-Key: ${key}`,
  'Sec-WebSocket-Version: 13',
);
/** Whether the bytes end with a Close as a client sends it: with a code, masked. */
function endsWithClose({ received }: BackendPeer): boolean {
  return received.slice(-8).startsWith('\x88\x82');
}

interface Open {
  readonly rig: Rig;
  readonly client: RawClient;
  readonly backend: BackendPeer;
}

async function open(t: TestContext, rig?: Rig): Promise<Open> {
  const used = rig ?? (await Rig.start(t));
  const count = used.backend.peers.length;
  const client = await used.send(handshake);
  await until('the handshake', () => used.backend.peers[count]?.received.endsWith('\r\n\r\n') === true);
  const backend = used.backend.peers[count] as BackendPeer;
  backend.send(switched);
  await client.expect('\r\n\r\n');
  client.received = '';
  backend.received = '';
  return { rig: used, client, backend };
}

describe('a drain', () => {
  test('between frames closes both ends at once, and finishes when both have answered', async (t) => {
    const { rig, client, backend } = await open(t);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1012 });
    await client.expect(closeFrame(1012, null));
    await until('Close at the backend', () => endsWithClose(backend));
    const frame = Buffer.from(backend.received, 'latin1');
    const code = ((frame[6] as number) ^ (frame[2] as number)) * 256 + ((frame[7] as number) ^ (frame[3] as number));
    assert.equal(code, 1012);
    client.send('\x88\x82\0\0\0\0\x03\xf4');
    backend.send(closeFrame(1012, null));
    await client.untilEnded();
    await backend.untilClosed();
    client.socket.end();
    backend.socket.end();
    assert.equal(await drained, true);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'TUNNEL_DRAINED');
  });

  test('waits for the end of a frame in each direction, and passes nothing on after it', async (t) => {
    const { rig, client, backend } = await open(t);
    backend.send('\x81\x0ahalf ');
    client.send('\x81\x8a\0\0\0\0half ');
    await client.expect('half ');
    await until('the half at the backend', () => backend.received.endsWith('half '));
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    backend.send('whole');
    backend.send('\x81\x04late');
    await client.expect(`\x81\x0ahalf whole${closeFrame(1001, null)}`);
    for (const byte of 'whole\x81\x84\0\0\0\0late') client.send(byte);
    await until('Close at the backend', () => endsWithClose(backend));
    assert.ok(backend.received.startsWith('\x81\x8a\0\0\0\0half whole\x88\x82'));
    client.send('\x88\x80\0\0\0\0');
    backend.send('\x88\0');
    await client.untilEnded();
    await backend.untilClosed();
    assert.doesNotMatch(client.received + backend.received, /late/);
    client.socket.end();
    backend.socket.end();
    await drained;
  });

  test('keeps no more of a long frame in memory than before if its reader is slow', async (t) => {
    const { rig, client, backend } = await open(t);
    const bytes = 64 * 1024 * 1024;
    const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    header.writeUInt32BE(bytes, 6);
    backend.socket.write(header);
    await client.expect(header.toString('latin1'));
    client.socket.pause();
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    backend.socket.write(Buffer.alloc(bytes));
    await untilStill('the writer to block', () => backend.socket.writableLength);
    assert.ok(backend.socket.writableLength > bytes / 2);
    client.close();
    await drained;
  });

  test('lets an end that closes during a frame to it get the rest, and the Close', async (t) => {
    const { rig, client, backend } = await open(t);
    backend.send('\x81\x0ahalf ');
    await client.expect('half ');
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    await until('Close at the backend', () => endsWithClose(backend));
    client.send('\x88\x80\0\0\0\0');
    client.socket.end();
    backend.send('whole');
    await client.expect(`\x81\x0ahalf whole${closeFrame(1001, null)}`);
    await client.untilEnded();
    assert.equal(client.reset, false);
    backend.send('\x88\0');
    backend.socket.end();
    await drained;
  });

  test('ends the tunnel without a Close to the other end if a source ends inside a frame', async (t) => {
    const { rig, client, backend } = await open(t);
    backend.send('\x81\x0ahalf ');
    await client.expect('half ');
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    await until('Close at the backend', () => endsWithClose(backend));
    backend.socket.end();
    await client.untilEnded();
    assert.equal(client.received, '\x81\x0ahalf ');
    client.socket.end();
    await drained;
  });

  test('adds nothing if the ends are already closing', async (t) => {
    const { rig, client, backend } = await open(t);
    client.send('\x88\x82\0\0\0\0\x03\xe8');
    await until('the Close of the client', () => backend.received.length === 8);
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    backend.send('\x88\x02\x03\xe8');
    backend.socket.end();
    await client.untilEnded();
    client.socket.end();
    await drained;
    assert.ok(client.received.startsWith('\x88\x02\x03'));
    assert.equal(client.received.length, 4);
    assert.equal(backend.received.length, 8);
  });

  test('is spread over its time; a second one with less time also reaches the others', async (t) => {
    const rig = await Rig.start(t);
    const all: Open[] = [];
    for (let count = 0; count < 4; count++) all.push(await open(t, rig));
    const first = rig.proxy.dataPlane.drain({ forMs: 3_600_000, closeCode: 1012 });
    const told = (): number => all.filter(({ client }) => client.received.includes(closeFrame(1012, null))).length;
    await until('the first Close', () => told() === 1);
    const second = rig.proxy.dataPlane.drain({ forMs: 1000, closeCode: 1012 });
    await until('all Close frames', () => told() === 4);
    for (const { client, backend } of all) {
      client.send('\x88\x80\0\0\0\0');
      backend.send('\x88\0');
      client.socket.end();
      backend.socket.end();
    }
    assert.deepEqual(await Promise.all([first, second]), [true, true]);
  });

  test('ends tunnels that do not answer, and reports it', async (t) => {
    const { rig, client, backend } = await open(t);
    assert.equal(await rig.proxy.dataPlane.drain({ forMs: 300, closeCode: 1012 }), false);
    await until('both resets', () => client.reset && backend.reset);
  });

  test('closes a tunnel at once if its handshake completes during the drain', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(handshake);
    await until('the handshake', () => rig.backend.received.endsWith('\r\n\r\n'));
    const drained = rig.proxy.dataPlane.drain({ forMs: 30_000, closeCode: 1001 });
    rig.backend.peers[0]?.send(switched);
    await client.expect(closeFrame(1001, null));
    client.socket.resetAndDestroy();
    await drained;
  });
});

test('simultaneous handshakes cannot exceed the tunnel limit of a host', async (t) => {
  const rig = await Rig.start(t, { settings: { tunnelsMax: 2 } });
  const clients = await Promise.all(Array.from({ length: 6 }, () => rig.send(handshake)));
  await until('the refusals', () => clients.filter(({ statuses }) => statuses[0] === 503).length === 4);
  await until('the others at the backend', () => rig.backend.peers.length === 2);
  for (const peer of rig.backend.peers) peer.send('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
  await until('their responses', () => clients.filter(({ statuses }) => statuses[0] === 403).length === 2);
  assert.equal(rig.proxy.frontend('a.test').load.tunnels, 0);
});
