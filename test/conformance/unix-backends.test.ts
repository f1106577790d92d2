import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import type { TestSettings } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

/** Listens with the shortest backlog, and accepts and answers only once a line arrives on its standard input. */
const busyBackend = `
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(0)
print('listens', flush=True)
sys.stdin.readline()
while True:
    connection, _ = listening.accept()
    if connection.recv(65536):
        connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nbusy')
    connection.close()
`;

describe('a backend on a Unix socket', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-unix-'));
    path = join(directory, 'my app.sock');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** A proxy whose host `a.test` is on the socket. */
  async function start(t: TestContext, options: RigOptions = {}): Promise<{ rig: Rig; backend: RawBackend }> {
    const backend = await RawBackend.start(path);
    const rig = await Rig.start(t, { ...options, backends: 0 });
    t.after(() => backend.stop());
    rig.proxy.route('a.test', [backend.url]);
    return { rig, backend };
  }

  /** A proxy whose host `a.test` is on a socket with a full backlog, until `accept` is called. */
  async function startBusy(
    t: TestContext,
    settings: Partial<TestSettings> = {},
  ): Promise<{ rig: Rig; accept: () => void }> {
    const busy = spawn('python3', ['-c', busyBackend, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(busy, 'close');
    t.after(async () => {
      busy.kill('SIGKILL');
      await ended;
    });
    await once(busy.stdout, 'data');
    const rig = await Rig.start(t, { backends: 0, settings });
    rig.proxy.route('a.test', [`http+unix://${encodeURIComponent(path)}`]);
    return { rig, accept: () => void busy.stdin.write('\n') };
  }

  test('may speak HTTP/2', async (t) => {
    let sessions = 0;
    const server = createServer((asked, reply) => void asked.pipe(reply)).on('session', () => sessions++);
    await once(server.listen(path), 'listening');
    const rig = await Rig.start(t, { backends: 0 });
    t.after(() => server.close());
    rig.proxy.route('a.test', [`h2c+unix://${encodeURIComponent(path)}`]);
    for (const body of ['first', 'second']) {
      const got = await rig.ask(`${request('POST / HTTP/1.1', `Content-Length: ${body.length}`)}${body}`);
      assert.match(got, new RegExp(`^HTTP/1\\.1 200 .*${body}`, 's'));
    }
    assert.equal(sessions, 1);
  });

  test('serves requests with and without a body, on a connection that is kept', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve(({ body }) => response(`${body.length} bytes`));
    const client = await rig.send(get());
    await client.expect('0 bytes');
    assert.match(backend.received, /^GET \/ HTTP\/1\.1\r\nHost: a\.test\r\n/);
    const large = 'x'.repeat(1_000_000);
    client.send(`${request('POST / HTTP/1.1', `Content-Length: ${large.length}`)}${large}`);
    await client.expect('1000000 bytes');
    client.send(`${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`);
    await client.expect('3 bytes');
    assert.equal(backend.peers.length, 1);
  });

  test('serves a response that is larger than every buffer', async (t) => {
    const { rig, backend } = await start(t);
    const large = 'y'.repeat(5_000_000);
    backend.serve(() => response(large));
    const client = await rig.send(get());
    await until('the whole response', () => client.received.length > large.length);
    assert.equal(client.received.endsWith(large), true);
  });

  test('carries WebSockets', async (t) => {
    const { rig, backend } = await start(t);
    const client = await rig.send(
      get(
        '/chat',
        'Connection: Upgrade',
        'Upgrade: websocket',
        `Sec-WebSocket-Key: ${key}`,
        'Sec-WebSocket-Version: 13',
      ),
    );
    await backend.receive('\r\n\r\n');
    const peer = await backend.peer();
    peer.send(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n\x81\x05hello`,
    );
    await client.expect('hello');
    client.send('\x81\x83\0\0\0\0hey');
    await backend.receive('hey');
    client.close();
    await peer.untilClosed();
  });

  test('carries other tunnels', async (t) => {
    const { rig, backend } = await start(t, { settings: { upgrades: new Set(['tcp']) } });
    const client = await rig.send(request('POST /attach HTTP/1.1', 'Connection: Upgrade', 'Upgrade: tcp'));
    await backend.receive('\r\n\r\n');
    const peer = await backend.peer();
    peer.send('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello');
    await client.expect('hello');
    client.send('bytes');
    await backend.receive('bytes');
    peer.socket.end('last');
    await client.expect('last');
    client.socket.end();
    await until('the end', () => rig.proxy.ended.length === 1);
  });

  test('is localhost to a request that names no host', async (t) => {
    const { rig, backend } = await start(t);
    rig.proxy.route('*', [backend.url]);
    backend.serve(() => response('ok'));
    const client = await rig.send('GET / HTTP/1.0\r\n\r\n');
    await client.expect('ok');
    assert.match(backend.received, /\r\nHost: localhost\r\n/);
  });

  test('that is not there is marked, and the next backend serves', async (t) => {
    const rig = await Rig.start(t, { random: () => 0 });
    const missing = `http+unix://${encodeURIComponent(path)}`;
    rig.proxy.route('a.test', [missing, rig.backend.url]);
    rig.backend.serve(() => response('other'));
    const client = await rig.send(get());
    await client.expect('other');
    assert.deepEqual(rig.proxy.marks, [{ url: missing, reason: 'BACKEND_CONNECT_REFUSED' }]);
  });

  test('that breaks off in a response breaks off the response', async (t) => {
    const { rig, backend } = await start(t);
    const client = await rig.send(get());
    await backend.receive('\r\n\r\n');
    const peer = await backend.peer();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    await client.expect('abc');
    peer.socket.destroy();
    await client.untilEnded();
    assert.equal(rig.proxy.ended[0]?.errorCode, 'BACKEND_RESPONSE_TRUNCATED');
  });

  test('whose backlog is full gets the request once it accepts', async (t) => {
    const { rig, accept } = await startBusy(t);
    const clients = [];
    for (let count = 0; count < 10; count++) clients.push(await rig.send(get()));
    await until('the requests to wait', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 10);
    accept();
    for (const client of clients) await client.expect('busy');
    assert.deepEqual(rig.proxy.marks, []);
  });

  test('whose backlog is full is asked no more for clients that have left', async (t) => {
    const { rig } = await startBusy(t);
    const clients = [];
    for (let count = 0; count < 20; count++) clients.push(await rig.send(get()));
    await until('the requests to wait', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 20);
    for (const client of clients) client.close();
    // What the kernel has taken into the backlog stays, for the next request.
    await until('the others to end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen <= 2);
  });

  test('whose backlog stays full is one that does not accept in time', async (t) => {
    const { rig } = await startBusy(t, { connectTimeoutMs: 200 });
    const clients = [];
    for (let count = 0; count < 5; count++) clients.push(await rig.send(get()));
    await until('all but one to fail', () => rig.proxy.ended.length >= 3);
    for (const { errorCode } of rig.proxy.ended) assert.equal(errorCode, 'BACKEND_CONNECT_TIMEOUT');
    for (const client of clients) client.close();
  });
});
