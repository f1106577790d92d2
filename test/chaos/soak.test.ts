import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';

const rounds = 12;
const eachPerRound = 40;
/** After the first rounds the caches and pools are what they will be. */
const warmUpRounds = 4;
const growthBytesMax = 24 * 1024 ** 2;

/** What clients and backends do to a proxy over weeks, in a minute: everything has to be given back. */
describe('a proxy under clients and backends that come and go', () => {
  let home: HipacheHome;
  let good: HttpBackend;
  let rude: RawBackend;
  let proxy: HipacheProcess;

  beforeEach(async () => {
    home = new HipacheHome();
    // A client that has only half closed, as far as can be told, is waited for that long.
    home.configure({}, { tcpTimeout: 1 });
    good = await HttpBackend.start('good', (asked, response) => {
      if (asked.url === '/endless') response.write('x'.repeat(1000));
      else asked.resume().on('end', () => response.end('y'.repeat(2000)));
    });
    rude = await RawBackend.start();
    rude.onBytes((peer) => peer.socket.resetAndDestroy());
    await home.route('set', 'good.example', good.url);
    await home.route('set', 'rude.example', rude.url, good.url);
    proxy = await home.serve();
  });

  afterEach(async () => {
    await home.remove();
    await good.stop();
    await rude.stop();
  });

  it('gives back every descriptor, and grows no more after its first rounds', async () => {
    const { port } = proxy;
    await ask(port, 'good.example');
    let settledBytes = 0;
    for (let round = 0; round < rounds; round++) {
      const clients = await Promise.all(Array.from({ length: eachPerRound }, (_, count) => misbehave(port, count)));
      await Promise.all(
        Array.from({ length: eachPerRound }, (_, count) => ask(port, `${round}-${count}.unknown.example`)),
      );
      await Promise.all(Array.from({ length: eachPerRound }, () => ask(port, 'rude.example').catch(() => null)));
      for (const client of clients) client.close();
      await until('the clients to be forgotten', () => openSockets(proxy, port) === 0);
      if (round + 1 === warmUpRounds) settledBytes = residentBytes(proxy);
    }
    const growth = residentBytes(proxy) - settledBytes;
    assert.ok(growth < growthBytesMax, `${growth} bytes more after ${rounds} rounds than after ${warmUpRounds}`);
    assert.equal((await ask(port, 'good.example')).status, 200);
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

/** Connections of clients that the process still has, by the kernel's table. */
function openSockets(proxy: HipacheProcess, port: number): number {
  const inodes = new Set<string>();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    // 0A is the listener itself.
    if (local === undefined || inode === undefined || state === '0A') continue;
    if (Number.parseInt(local.split(':')[1] ?? '', 16) === port) inodes.add(inode);
  }
  return descriptors(proxy).filter((target) => inodes.has(/socket:\[(\d+)\]/.exec(target)?.[1] ?? '')).length;
}

function descriptors({ pid }: HipacheProcess): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

function residentBytes({ pid }: HipacheProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
