// Changes routes at a fixed rate, through the store, as any program may: each change moves a host from one backend to
// the next. A store that is too slow for the rate has so many writes at once as may be in flight, and the rate falls.
//   node route-writer.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { openStore } from '../../src/stores/open-store.ts';
import { shopName } from '../routes.ts';

export interface RouteWriterSettings {
  /** URL of the store. */
  readonly store: string;
  /** They change in turn: these, or so many of `routeSet`, each `step` after the one before. */
  readonly hosts: readonly string[] | { readonly count: number; readonly step: number };
  /** URLs. A host has the next one after each turn. */
  readonly backends: readonly string[];
  readonly changesPerSecond: number;
  readonly seconds: number;
}

export interface RouteWriterResult {
  readonly changes: number;
  readonly failed: number;
  /** From the first call to the last acknowledgement. */
  readonly seconds: number;
  /** Writes that were under way at once, at most. */
  readonly inFlight: number;
}

/** Writes that may be under way at once. */
const inFlightMax = 256;
const tickMs = 2;

const settings: RouteWriterSettings = JSON.parse(process.argv[2] ?? '{}');
const { backends, changesPerSecond, seconds } = settings;
const hosts = hostsOf(settings.hosts);
const store = await openStore(settings.store);
// What opens a connection with the first write is no part of the rate.
await set(0);
const startMs = performance.now();
let begun = 0;
let done = 0;
let failed = 0;
let inFlight = 0;
const timer = setInterval(onTick, tickMs);

function onTick(): void {
  const elapsed = (performance.now() - startMs) / 1000;
  const due = Math.min(elapsed, seconds) * changesPerSecond;
  while (begun < due && begun - done - failed < inFlightMax && elapsed < seconds) change();
  inFlight = Math.max(inFlight, begun - done - failed);
  if (elapsed < seconds || done + failed < begun) return;
  clearInterval(timer);
  void finish();
}

function change(): void {
  begun++;
  set(begun).then(
    () => done++,
    () => failed++,
  );
}

async function set(number: number): Promise<void> {
  const host = hosts[number % hosts.length] ?? '';
  const backend = backends[Math.floor(number / hosts.length) % backends.length] ?? '';
  await store.routes.set(host, null, [backend]);
}

async function finish(): Promise<void> {
  const result: RouteWriterResult = {
    ...{ changes: done, failed, inFlight },
    seconds: (performance.now() - startMs) / 1000,
  };
  await store.close();
  process.stdout.write(JSON.stringify(result));
}

function hostsOf(given: RouteWriterSettings['hosts']): readonly string[] {
  if ('step' in given) return Array.from({ length: given.count }, (_, i) => shopName(i * given.step));
  return given;
}
