// Requests of a host that sleeps. With `hold` many wait until SIGUSR2, when their backend begins to listen; with `wake` one
// waits at a time, its backend begins to listen, and the time to the response counts.
//   node sleeper.ts SETTINGS      (JSON; results go to stdout as JSON, one a line)
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../statistics.ts';

export interface SleeperSettings {
  readonly mode: 'hold' | 'wake';
  readonly host: string;
  readonly proxyPort: number;
  /** Of its backend, where nothing listens yet. */
  readonly backendPort: number;
  /** With `wake`, one after the other. */
  readonly requests: number;
}

export interface SleeperReport {
  readonly event: 'waiting' | 'done';
  readonly requests: number;
  readonly served: number;
  /** From the moment at which the backend listens to the first byte of the response. */
  readonly p50Ms: number;
  readonly maxMs: number;
}

/** Opened at once. */
const batch = 100;
/** How long a request waits before its backend listens, in ms: from this to twice as long. */
const sleepMs = 400;
const settings: SleeperSettings = JSON.parse(process.argv[2] ?? '{}');

if (settings.mode === 'hold') await hold();
else await wakeAll();

async function hold(): Promise<void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < settings.requests; i += batch) {
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(batch, settings.requests - i) }, ask))));
  }
  report('waiting', 0, []);
  await once(process, 'SIGUSR2');
  const responses = sockets.map((socket) => once(socket, 'data'));
  const backend = await listen();
  await Promise.all(responses);
  report('done', responses.length, []);
  for (const socket of sockets) socket.destroy();
  backend.closeAllConnections();
  backend.close();
}

async function wakeAll(): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < settings.requests; i++) {
    const socket = await ask();
    await delay(sleepMs * (1 + Math.random()));
    const response = once(socket, 'data');
    const backend = await listen();
    const startMs = performance.now();
    await response;
    times.push(performance.now() - startMs);
    socket.destroy();
    backend.closeAllConnections();
    backend.close();
    await once(backend, 'close');
  }
  report('done', times.length, times);
}

/** A connection on which a request was sent. */
async function ask(): Promise<Socket> {
  const socket = connect({ port: settings.proxyPort, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.write(`GET / HTTP/1.1\r\nHost: ${settings.host}\r\n\r\n`, 'latin1');
  return socket;
}

async function listen(): Promise<Server> {
  const backend = createServer((_request, response) => response.end('awake'));
  backend.listen(settings.backendPort, '127.0.0.1');
  await once(backend, 'listening');
  return backend;
}

function report(event: SleeperReport['event'], served: number, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const [p50Ms, maxMs] = sorted.length === 0 ? [0, 0] : [percentile(sorted, 50), sorted.at(-1) ?? 0];
  const line: SleeperReport = { event, requests: settings.requests, served, p50Ms, maxMs };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
