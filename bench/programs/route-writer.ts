// Changes routes at a fixed rate, through the store, as any program may: each change moves a host from one backend to
// the other. Ends on SIGTERM, or after the given time.
//   node route-writer.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { openStore } from '../../src/stores/open-store.ts';

export interface RouteWriterSettings {
  /** URL of the store. */
  readonly store: string;
  readonly hosts: readonly string[];
  readonly backends: readonly [string, string];
  readonly changesPerSecond: number;
  readonly seconds: number;
}

export interface RouteWriterResult {
  readonly changes: number;
  readonly failed: number;
}

const settings: RouteWriterSettings = JSON.parse(process.argv[2] ?? '{}');
const { hosts, backends, changesPerSecond, seconds } = settings;
const store = await openStore(settings.store);
const startMs = performance.now();
let begun = 0;
let done = 0;
let failed = 0;
const timer = setInterval(onTick, 2);

function onTick(): void {
  const elapsed = (performance.now() - startMs) / 1000;
  for (const due = Math.min(elapsed, seconds) * changesPerSecond; begun < due; begun++) change(begun);
  if (elapsed < seconds || done + failed < begun) return;
  clearInterval(timer);
  void finish();
}

function change(number: number): void {
  const host = hosts[number % hosts.length] ?? '';
  const backend = backends[Math.floor(number / hosts.length) % 2] ?? '';
  store.routes.set(host, null, [backend]).then(
    () => done++,
    () => failed++,
  );
}

async function finish(): Promise<void> {
  await store.close();
  const result: RouteWriterResult = { changes: done, failed };
  process.stdout.write(JSON.stringify(result));
}
