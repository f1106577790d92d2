// Moves one host back and forth between two backends that tell themselves apart, one change after the other, and asks the
// proxy on a new connection each time until only the new one answers. Each proxy is changed in the way it offers. Holds
// tunnels of another host meanwhile, and then until SIGTERM. Begins at SIGUSR2.
//   node route-mover.ts SETTINGS      (JSON; reports go to stdout as JSON, one a line)
import { renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/stores/open-store.ts';
import { openTunnel } from '../load/tunnel.ts';
import type { Move } from '../proxies/move.ts';
import { percentile } from '../statistics.ts';

export interface RouteMoverSettings {
  readonly move: Move;
  /** Of the proxy. */
  readonly pid: number;
  readonly port: number;
  readonly host: string;
  /** How many changes there are, and when the last of them begins at the latest. */
  readonly changes: number;
  readonly secondsMax: number;
  /** Whether there is nothing to be changed: all else is done as if. */
  readonly isQuiet: boolean;
  readonly tunnelHost: string;
  /** Opened before the first change. One more is opened after each: clients come and go. */
  readonly tunnels: number;
}

/** The last line of the output. One with `ready` comes before it, when SIGUSR2 is waited for. */
export interface RouteMoverResult {
  /** Those that were served. */
  readonly changes: number;
  /** 1 where the last change was not served within the limit. */
  readonly unserved: number;
  /** Responses that were neither. */
  readonly failed: number;
  /** From the begin of a change to the first response of the new backend. */
  readonly servedP50Ms: number;
  readonly servedMaxMs: number;
  /** To the first one after which no new connection brings the old backend. */
  readonly aloneP50Ms: number;
  readonly aloneMaxMs: number;
  readonly tunnels: number;
  readonly closed: number;
}

/** Between two questions: until the first new response, and after it, in ms. */
const askMs = 1;
const askAgainMs = 5;
/** No old response for this long: the change is done. In ms. */
const aloneMs = 250;
/** Of one change, and of one question, in ms. */
const servedMsMax = 60_000;
const askMsMax = 10_000;

const settings: RouteMoverSettings = JSON.parse(process.argv[2] ?? '{}');
const { move } = settings;
const question = `GET / HTTP/1.1\r\nHost: ${settings.host}\r\nConnection: close\r\n\r\n`;
const store = move.way === 'store' ? await openStore(move.url) : null;
const servedMs: number[] = [];
const allNewMs: number[] = [];
const tunnels: Socket[] = [];
let closed = 0;
let failed = 0;
let unserved = 0;
process.once('SIGTERM', () => process.exit(0));
for (let i = 0; i < settings.tunnels; i++) await openOne();
const begin = new Promise((resolve) => process.once('SIGUSR2', resolve));
process.stdout.write('{"ready":true}\n');
await begin;
const endMs = performance.now() + settings.secondsMax * 1000;
let current = (await ask()) === 'b' ? 1 : 0;
for (let i = 0; i < settings.changes && performance.now() < endMs && unserved === 0; i++) {
  if (!settings.isQuiet) current = 1 - current;
  await moveTo(current);
  await openOne();
}
await store?.close();
const result: RouteMoverResult = {
  changes: servedMs.length,
  unserved,
  failed,
  servedP50Ms: percentile(servedMs, 50),
  servedMaxMs: percentile(servedMs, 100),
  aloneP50Ms: percentile(allNewMs, 50),
  aloneMaxMs: percentile(allNewMs, 100),
  tunnels: tunnels.length,
  closed,
};
process.stdout.write(`${JSON.stringify(result)}\n`);

async function moveTo(to: number): Promise<void> {
  const wanted = 'ab'[to];
  const old = 'ba'[to];
  const startMs = performance.now();
  let refusal: Error | null = null;
  const changed = settings.isQuiet
    ? null
    : change(to).catch((error: Error) => {
        refusal = error;
      });
  let firstMs = 0;
  let sinceMs = 0;
  while (sinceMs === 0 || performance.now() < sinceMs + aloneMs) {
    const response = await ask();
    if (refusal !== null) throw refusal;
    const nowMs = performance.now();
    if (response === wanted) {
      firstMs ||= nowMs;
      sinceMs ||= nowMs;
    } else if (response === old) sinceMs = 0;
    else failed++;
    if (sinceMs === 0 && nowMs > startMs + servedMsMax) {
      unserved++;
      return;
    }
    await delay(firstMs === 0 ? askMs : askAgainMs);
  }
  await changed;
  servedMs.push(firstMs - startMs);
  allNewMs.push(sinceMs - startMs);
}

async function change(to: number): Promise<void> {
  switch (move.way) {
    case 'store':
      await store?.routes.set(settings.host, null, [move.backends[to] ?? '']);
      return;
    case 'reload':
      writeFileSync(`${move.file}.new`, move.texts[to] ?? '');
      renameSync(`${move.file}.new`, move.file);
      process.kill(settings.pid, 'SIGHUP');
      return;
    case 'command': {
      const response = await exchange(connect(move.socket), move.commands[to] ?? '');
      if (response.trim() !== '') throw new Error(`the command was answered: ${response}`);
      return;
    }
    case 'patch':
      await patch(move.port, move.path, move.bodies[to] ?? '');
  }
}

async function openOne(): Promise<void> {
  const tunnel = await openTunnel(settings.port, settings.tunnelHost);
  tunnel.resume().once('close', () => closed++);
  tunnels.push(tunnel);
}

/** The body of a response, which is one letter, on a new connection; what came where it is not. */
async function ask(): Promise<string> {
  const socket = connect({ port: settings.port, host: '127.0.0.1', noDelay: true });
  const text = await exchange(
    socket.setTimeout(askMsMax, () => socket.destroy()),
    question,
  );
  return text.startsWith('HTTP/1.1 200 ') ? text.slice(-1) : text;
}

/** Sends a text. @returns all that comes until the other side closes. */
function exchange(socket: Socket, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let response = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    response += part;
  });
  socket.once('error', () => {});
  socket.once('close', () => resolve(response));
  socket.write(text);
  return promise;
}

function patch(port: number, path: string, body: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const asked = request({ agent: false, port, host: '127.0.0.1', path, method: 'PATCH', headers });
  asked.once('error', reject);
  asked.once('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.once('error', reject);
    response.once('close', () => {
      if (response.statusCode === 200) resolve();
      else reject(new Error(`PATCH was answered with ${response.statusCode}: ${text}`));
    });
  });
  asked.end(body);
  return promise;
}
