import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { backendTls } from '../../src/tls/backend-tls.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { Authority, type Issued } from '../helpers/authority.ts';
import { get, Rig } from '../helpers/rig.ts';
import { TlsRig } from '../helpers/tls-rig.ts';
import { until } from '../helpers/until.ts';

/** TLS failures after the handshake: the proxy notices them at once and tells the other side. */

let authority: Authority;
let own: Issued;

before(() => {
  authority = new Authority();
  own = authority.issue(['a.test', '127.0.0.1']);
});

after(() => authority.dispose());

/** A record of application data under an unknown key. */
const broken = Buffer.from(`1703030020${'00'.repeat(32)}`, 'hex');
const key = 'dGhlIHNhbXBsZSBub25jZQ==';

describe('a broken record', () => {
  test('ends an idle client connection', async (t) => {
    const rig = await TlsRig.start(t, { authority, own });
    const plain = connectPlain(rig.port, '127.0.0.1');
    await rig.connect({ socket: plain });
    plain.write(broken);
    await until('the end', () => rig.rig.proxy.dataPlane.counters.clientConnectionsOpen === 0);
  });

  test('ends a tunnel and its backend connection', async (t) => {
    const rig = await TlsRig.start(t, { authority, own });
    const plain = connectPlain(rig.port, '127.0.0.1');
    const socket = await rig.connect({ socket: plain });
    socket.write(
      get('/', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'),
    );
    await until('the handshake', () => rig.rig.backend.received.endsWith('\r\n\r\n'));
    const opened = new Promise((resolve) => socket.once('data', resolve));
    rig.rig.backend.peers[0]?.send(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
    );
    await opened;
    plain.write(broken);
    await until('the reset at the backend', () => rig.rig.backend.peers[0]?.reset === true);
    assert.equal(rig.rig.proxy.dataPlane.counters.tunnelsOpen, 0);
  });

  test('from a backend is a failure at once, not after the timeout', async (t) => {
    const rig = await Rig.start(t, { backendTls: backendTls([authority.certificateFile], true) });
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      const secure = new TLSSocket(socket, { isServer: true, key: own.key, cert: own.certificate });
      secure.on('error', () => {});
      secure.once('data', () => socket.write(broken));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    rig.proxy.route('b.test', [`https://127.0.0.1:${(server.address() as { port: number }).port}`]);
    const client = await rig.send('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 502 [\s\S]*x-hipache-error: BACKEND_RESET/);
  });
});

test('a client cannot repeat the handshake', async (t) => {
  const rig = await TlsRig.start(t, { authority, own });
  const client = spawn(
    'openssl',
    ['s_client', '-connect', `127.0.0.1:${rig.port}`, '-tls1_2', '-servername', 'a.test'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [client.stdout, client.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
  }
  const ended = new Promise((resolve) => client.once('close', resolve));
  t.after(async () => {
    client.kill();
    await ended;
  });
  await until('the handshake', () => rig.rig.proxy.dataPlane.counters.tlsHandshakes === 1);
  await until('its report', () => output.includes('Verify return code'));
  client.stdin.write('R\n');
  await until('the refusal', () => /no renegotiation/i.test(output));
  assert.equal(rig.rig.proxy.dataPlane.counters.tlsHandshakes, 1);
});

test('connections whose PROXY header has not arrived end with the proxy', async (t) => {
  const rig = await TlsRig.start(t, { authority, own, proxyProtocol: true });
  const silent = connectPlain(rig.port, '127.0.0.1');
  silent.on('error', () => {});
  const closed = new Promise((resolve) => silent.once('close', resolve));
  await new Promise((resolve) => silent.once('connect', resolve));
  silent.write('PROXY TCP4 203.0.113.9');
  silent.resume();
  // Another connection, which is served after it.
  const plain = connectPlain(rig.port, '127.0.0.1');
  plain.write('PROXY TCP4 203.0.113.9 127.0.0.1 1000 443\r\n');
  await rig.exchange(await rig.connect({ socket: plain }));
  await rig.rig.proxy.dataPlane.drain({ forMs: 50, closeCode: 1001 });
  await closed;
});
