// How long it takes until a route that is written is served by every worker of several instances: moves a host between
// two backends that tell themselves apart, and asks every worker, each on a connection of its own, until all responses
// are the new one.
//   node fleet-prober.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/stores/open-store.ts';
import { ownerOf } from '../connections.ts';
import { percentile } from '../statistics.ts';

export interface FleetProberSettings {
  /** URL of the store. */
  readonly store: string;
  readonly instances: readonly { readonly port: number; readonly workers: readonly number[] }[];
  readonly host: string;
  /** URLs; their responses are `a` and `b`. */
  readonly backends: readonly [string, string];
  /** Before the times count, and while they do. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface FleetProberResult {
  readonly probes: number;
  /** Responses that were neither, and changes that were not served within the limit. */
  readonly failed: number;
  readonly workers: number;
  /** From the acknowledgement to the last worker's first new response; 0 where that came before. */
  readonly liveP50Ms: number;
  readonly liveP99Ms: number;
  readonly writeP50Ms: number;
  readonly writeP99Ms: number;
  /** From the call to that response. */
  readonly servedP50Ms: number;
  readonly servedP99Ms: number;
}

/** Between two questions to one worker, and between two changes, in ms. */
const askMs = 0.5;
const changeMs = 15;
/** A change that is not served this long after its call has failed, in ms. */
const liveMsMax = 10_000;
/** Connections that are tried to find one to each worker. */
const triesMax = 200;

const settings: FleetProberSettings = JSON.parse(process.argv[2] ?? '{}');
const question = `GET / HTTP/1.1\r\nHost: ${settings.host}\r\n\r\n`;
const store = await openStore(settings.store);
const writeMs: number[] = [];
const liveMs: number[] = [];
const servedMs: number[] = [];
let failed = 0;
await store.routes.set(settings.host, null, [settings.backends[0]]);
await delay(200);
const connections = (await Promise.all(settings.instances.map(connectToEach))).flat();
const countFromMs = performance.now() + settings.warmUpSeconds * 1000;
const endMs = countFromMs + settings.seconds * 1000;
for (let i = 1; performance.now() < endMs; i++) await probe(i % 2);
for (const connection of connections) connection.destroy();
await store.close();
const result: FleetProberResult = {
  probes: liveMs.length,
  failed,
  workers: connections.length,
  liveP50Ms: percentile(liveMs, 50),
  liveP99Ms: percentile(liveMs, 99),
  writeP50Ms: percentile(writeMs, 50),
  writeP99Ms: percentile(writeMs, 99),
  servedP50Ms: percentile(servedMs, 50),
  servedP99Ms: percentile(servedMs, 99),
};
process.stdout.write(JSON.stringify(result));

async function probe(to: number): Promise<void> {
  const wanted = 'ab'[to] ?? '';
  const startMs = performance.now();
  let acknowledgedMs = 0;
  const written = store.routes.set(settings.host, null, [settings.backends[to] ?? '']).then(() => {
    acknowledgedMs = performance.now();
  });
  const served = await Promise.all(connections.map((connection) => untilResponse(connection, wanted, startMs)));
  await written;
  if (startMs >= countFromMs) {
    writeMs.push(acknowledgedMs - startMs);
    const lastMs = Math.max(...served);
    liveMs.push(Math.max(0, lastMs - acknowledgedMs));
    servedMs.push(lastMs - startMs);
  }
  await delay(changeMs * (0.5 + Math.random()));
}

/** @returns when the first wanted response came. */
async function untilResponse(connection: Socket, wanted: string, startMs: number): Promise<number> {
  for (;;) {
    const response = await ask(connection);
    const nowMs = performance.now();
    if (response === wanted) return nowMs;
    if (response !== 'a' && response !== 'b') failed++;
    if (nowMs > startMs + liveMsMax || connection.destroyed) {
      failed++;
      return nowMs;
    }
    await delay(askMs);
  }
}

/** The body of the response, which is one letter; what came where there is none. */
function ask(connection: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const end = (): void => {
    connection.off('data', onData);
    connection.off('close', end);
    resolve(text.startsWith('HTTP/1.1 200 ') ? text.slice(-1) : text);
  };
  const onData = (bytes: Buffer): void => {
    text += bytes.toString('latin1');
    if (/\r\n\r\n.$/s.test(text)) end();
  };
  connection.on('data', onData);
  connection.once('close', end);
  connection.write(question);
  return promise;
}

/** A connection to each worker of an instance: the kernel chooses, so that some have to be tried. */
async function connectToEach({ port, workers }: FleetProberSettings['instances'][number]): Promise<Socket[]> {
  const found = new Map<number, Socket>();
  for (let i = 0; i < triesMax && found.size < workers.length; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    // It is accepted only once the worker has turned to it.
    await ask(socket);
    const owner = ownerOf(port, socket.localPort ?? 0, workers);
    if (owner === null || found.has(owner)) socket.destroy();
    else found.set(owner, socket);
  }
  if (found.size < workers.length) throw new Error(`only ${found.size} of ${workers.length} workers were found`);
  return [...found.values()];
}
