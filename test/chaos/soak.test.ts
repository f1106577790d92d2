import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

/** How long the rounds go on at least. For workers that grow old: `HIPACHE_SOAK_MINUTES=30`. */
const soakMs = Number(process.env['HIPACHE_SOAK_MINUTES'] ?? 0) * 60_000;
const roundsMin = 12;
const eachPerRound = 40;
/** After the first rounds, and the first third of a long run, the caches, pools and heaps have their final sizes. */
const warmUpRounds = 4;
const growthBytesMax = 24 * 1024 ** 2;
/** Kept connections to backends come and go. */
const descriptorsMoreMax = 100;

/** What clients and backends do to a proxy over weeks, in a minute: the proxy must release everything. */
describe('a proxy under clients and backends that come and go', () => {
  let home: HipacheHome;
  let good: HttpBackend;
  let rude: RawBackend;
  let proxy: HipacheProcess;
  let tlsPort: number;
  let authority: Authority;
  let sockets: WebSocketServer;

  beforeEach(async () => {
    home = new HipacheHome();
    // How long the proxy waits for a client that may only have half-closed.
    authority = new Authority();
    const { certificateFile: cert, keyFile: key } = authority.issue(['good.example']);
    home.configure(
      { https: { bind: ['127.0.0.1'], port: 0, key, cert }, limits: { headTimeoutSeconds: 1 } },
      { tcpTimeout: 1, workers: 1 },
    );
    sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    await new Promise((resolve) => sockets.once('listening', resolve));
    good = await HttpBackend.start('good', (asked, response) => {
      if (asked.url === '/endless') response.write('x'.repeat(1000));
      else asked.resume().on('end', () => response.end('y'.repeat(2000)));
    });
    rude = await RawBackend.start();
    rude.onBytes((peer) => peer.socket.resetAndDestroy());
    await home.route('set', 'good.example', good.url);
    await home.route('set', 'rude.example', rude.url, good.url);
    await home.route('set', 'socket.example', `http://127.0.0.1:${(sockets.address() as { port: number }).port}`);
    proxy = await home.serve();
    tlsPort = await proxy.tlsPort();
  });

  afterEach(async () => {
    await home.remove();
    await good.stop();
    await rude.stop();
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    authority.dispose();
  });

  it('releases every descriptor, and stops growing after the first rounds', {
    timeout: soakMs + 300_000,
  }, async (t) => {
    const { port } = proxy;
    await ask(port, 'good.example');
    const [worker] = workerPids(proxy.pid) as [number];
    const settled = { worker: 0, primary: 0, descriptors: 0 };
    const endMs = Date.now() + soakMs;
    let round = 0;
    for (; round < roundsMin || Date.now() < endMs; round++) {
      const clients = await Promise.all(Array.from({ length: eachPerRound }, (_, count) => misbehave(port, count)));
      assert.ok(openSockets(worker, [port]) > 0, 'the worker has the clients');
      await Promise.all(
        Array.from({ length: eachPerRound }, (_, count) => ask(port, `${round}-${count}.unknown.example`)),
      );
      await Promise.all(Array.from({ length: eachPerRound }, () => ask(port, 'rude.example').catch(() => null)));
      await Promise.all(Array.from({ length: eachPerRound }, (_, count) => leaveTls(tlsPort, count)));
      await Promise.all(Array.from({ length: eachPerRound }, (_, count) => leaveTunnel(port, count)));
      for (const client of clients) client.close();
      await until('the clients to be gone', () => openSockets(worker, [port, tlsPort]) === 0);
      await until('the tunnels to be gone', () => sockets.clients.size === 0);
      const figures = {
        worker: residentBytes(worker),
        primary: residentBytes(proxy.pid),
        descriptors: descriptors(worker).length,
      };
      const isWarm = round + 1 >= warmUpRounds && Date.now() >= endMs - (soakMs * 2) / 3;
      if (isWarm && settled.worker === 0) Object.assign(settled, figures);
      if (soakMs > 0 && round % 50 === 0) t.diagnostic(`round ${round}: ${JSON.stringify(figures)}`);
    }
    for (const [what, pid] of [
      ['worker', worker],
      ['primary', proxy.pid],
    ] as const) {
      const growth = residentBytes(pid) - settled[what];
      assert.ok(
        growth < growthBytesMax,
        `${what}: ${growth} bytes more after ${round} rounds than after the first ones`,
      );
    }
    const more = descriptors(worker).length - settled.descriptors;
    assert.ok(more < descriptorsMoreMax, `${more} descriptors more after ${round} rounds than after the first ones`);
    assert.equal((await ask(port, 'good.example')).status, 200);
    assert.deepEqual(workerPids(proxy.pid), [worker]);
  });
});

/** One of the ways in which clients leave. */
async function misbehave(port: number, count: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  switch (count % 5) {
    case 0:
      client.send('GET / HTTP/1.1\r\nHost: good.example\r\nX-Never-Ends: ');
      break;
    case 1:
      client.send('POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 1000\r\n\r\npart');
      break;
    case 2:
      client.send('GET /endless HTTP/1.1\r\nHost: good.example\r\n\r\n');
      await client.expect('HTTP/1.1 200');
      break;
    case 3:
      client.send('GET / HTTP/1.1\r\nHost: good.example\r\n\r\n'.repeat(20));
      break;
    default:
      client.send('not HTTP at all\r\n\r\n');
      await client.untilEnded();
  }
  return client;
}

/** One of the ways in which TLS clients leave. */
async function leaveTls(port: number, count: number): Promise<void> {
  const plain = connectPlain(port, '127.0.0.1');
  plain.on('error', () => {});
  await new Promise((resolve) => plain.once('connect', resolve));
  if (count % 4 === 0) {
    plain.write('no handshake at all\r\n\r\n');
    plain.end();
  } else if (count % 4 === 1) {
    plain.resetAndDestroy();
  } else {
    const socket = await handshake(plain);
    socket.write('GET / HTTP/1.1\r\nHost: good.example\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    if (count % 4 === 2) socket.end();
    else plain.resetAndDestroy();
  }
}

async function handshake(plain: ReturnType<typeof connectPlain>): Promise<TLSSocket> {
  const socket = connectTls({ socket: plain, servername: 'good.example', rejectUnauthorized: false });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
}

/** One of the ways in which WebSockets end. */
async function leaveTunnel(port: number, count: number): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers: { host: 'socket.example' } });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const back = new Promise((resolve) => socket.once('message', resolve));
  socket.send('x'.repeat(10_000));
  await back;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  if (count % 2 === 0) socket.close();
  else socket.terminate();
  await closed;
}

/** Client connections that the process still has, according to the kernel. */
function openSockets(pid: number, ports: readonly number[]): number {
  const inodes = new Set<string>();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    // 0A is the listener itself.
    if (local === undefined || inode === undefined || state === '0A') continue;
    if (ports.includes(Number.parseInt(local.split(':')[1] ?? '', 16))) inodes.add(inode);
  }
  return descriptors(pid).filter((target) => inodes.has(/socket:\[(\d+)\]/.exec(target)?.[1] ?? '')).length;
}

function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
