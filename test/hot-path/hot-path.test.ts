import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Counts } from './program.ts';

/**
 * What a small request may cost, measured independently of the machine. An exceeded bound means that requests do more
 * work, not how much slower that makes them: measure (`npm run bench -- --only small`), then fix it, or raise the bound
 * and give the reason in the commit.
 */
const allocatedBytesMax = 3500;
/** Head and body of request and response are two reads and two writes, plus some for the log and the start. */
const readsMax = 2.05;
const writesMax = 2.05;

const connections = 32;
/** Requests until everything is compiled and has its working memory, then those that are counted. */
const warmUp = 60_000;
const counted = 60_000;

const request =
  'GET /path?query=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: hot-path/1.0\r\nAccept: */*\r\n' +
  'Accept-Encoding: gzip\r\nReferer: http://a.test/\r\nCookie: session=0123456789abcdef\r\n\r\n';
const response = `HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 18:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\r\n${'x'.repeat(40)}`;

describe('a small request on kept connections', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-hot-path-'));
  let backend: Server;
  let program: ChildProcess;
  let port: number;

  before(async () => {
    backend = createServer({ noDelay: true }, (socket) => {
      socket.on('data', () => socket.write(response, 'latin1'));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const path = fileURLToPath(new URL('program.ts', import.meta.url));
    const backendPort = String((backend.address() as AddressInfo).port);
    program = fork(path, [backendPort, join(folder, 'log')], { execArgv: [] });
    [port] = (await once(program, 'message')) as [number];
  });

  after(async () => {
    const ended = once(program, 'exit');
    program.disconnect();
    await ended;
    backend.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function counts(): Promise<Counts> {
    const answered = once(program, 'message') as Promise<[Counts]>;
    program.send('counts');
    return (await answered)[0];
  }

  test('stays within its bounds for allocation, reads and writes', async (t) => {
    const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    await ask(sockets, warmUp);
    const from = await counts();
    await ask(sockets, counted);
    const to = await counts();
    const allocated = (to.allocatedBytes - from.allocatedBytes) / counted;
    const reads = (to.reads - from.reads) / counted;
    const writes = (to.writes - from.writes) / counted;
    t.diagnostic(`${Math.round(allocated)} bytes, ${reads.toFixed(3)} reads, ${writes.toFixed(3)} writes a request`);
    assert.ok(allocated <= allocatedBytesMax, `${allocated} bytes allocated, at most ${allocatedBytesMax} are allowed`);
    assert.ok(reads <= readsMax, `${reads} reads, at most ${readsMax} are allowed`);
    assert.ok(writes <= writesMax, `${writes} writes, at most ${writesMax} are allowed`);
  });
});

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Sends this many requests; each socket sends the next one when it has its response. */
function ask(sockets: readonly Socket[], requests: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let asked = 0;
    let answered = 0;
    const next = (socket: Socket): void => {
      if (asked >= requests) return;
      asked++;
      socket.write(request, 'latin1');
    };
    for (const socket of sockets) {
      socket.removeAllListeners('data').removeAllListeners('close');
      socket.on('data', () => {
        if (++answered === requests) resolve();
        else next(socket);
      });
      socket.once('close', () => reject(new Error('a connection was closed')));
      next(socket);
    }
  });
}
