// How long it takes until a route that is written is acknowledged, and from then to the first response that it brings:
// moves a host between two backends that tell themselves apart, and asks the proxy until the response is the new one.
//   node route-prober.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/stores/open-store.ts';
import { percentile } from '../statistics.ts';

export interface RouteProberSettings {
  /** URL of the store. */
  readonly store: string;
  readonly port: number;
  readonly host: string;
  /** URLs; their responses are `a` and `b`. */
  readonly backends: readonly [string, string];
  readonly seconds: number;
}

export interface RouteProberResult {
  readonly probes: number;
  /** Responses that were neither, and changes that were not served within the limit. */
  readonly failed: number;
  readonly writeP50Ms: number;
  readonly writeP99Ms: number;
  /** 0 where a response was new before the writer heard of its acknowledgement. */
  readonly liveP50Ms: number;
  readonly liveP99Ms: number;
}

/** Between two questions, and between two changes, in ms. */
const askMs = 0.5;
const changeMs = 30;
/** A change that is not served this long after its call has failed, in ms. */
const liveMsMax = 10_000;

const settings: RouteProberSettings = JSON.parse(process.argv[2] ?? '{}');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const store = await openStore(settings.store);
const writeMs: number[] = [];
const liveMs: number[] = [];
let failed = 0;
await store.routes.set(settings.host, null, [settings.backends[0]]);
await delay(200);
for (let i = 1, endMs = performance.now() + settings.seconds * 1000; performance.now() < endMs; i++) await probe(i % 2);
await store.close();
agent.destroy();
const result: RouteProberResult = {
  probes: liveMs.length,
  failed,
  writeP50Ms: percentile(writeMs, 50),
  writeP99Ms: percentile(writeMs, 99),
  liveP50Ms: percentile(liveMs, 50),
  liveP99Ms: percentile(liveMs, 99),
};
process.stdout.write(JSON.stringify(result));

async function probe(to: number): Promise<void> {
  const wanted = 'ab'[to];
  const startMs = performance.now();
  let acknowledgedMs = 0;
  const written = store.routes.set(settings.host, null, [settings.backends[to] ?? '']).then(() => {
    acknowledgedMs = performance.now();
  });
  let response = '';
  while (response !== wanted && performance.now() < startMs + liveMsMax) {
    response = await ask();
    if (response !== 'a' && response !== 'b') failed++;
    if (response !== wanted) await delay(askMs);
  }
  const servedMs = performance.now();
  await written;
  if (response !== wanted) failed++;
  writeMs.push(acknowledgedMs - startMs);
  liveMs.push(Math.max(0, servedMs - acknowledgedMs));
  await delay(changeMs * (0.5 + Math.random()));
}

function ask(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const question = request({ agent, port: settings.port, host: '127.0.0.1', headers: { host: settings.host } });
  question.once('error', (error) => resolve(error.message));
  question.once('response', (response) => {
    let body = '';
    response.setEncoding('latin1').on('data', (text: string) => {
      body += text;
    });
    response.once('close', () => resolve(response.statusCode === 200 ? body : `status ${response.statusCode}`));
  });
  question.end();
  return promise;
}
