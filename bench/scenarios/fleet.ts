import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import type { Running } from '../processes.ts';
import type { FleetProberResult, FleetProberSettings } from '../programs/fleet-prober.ts';
import type { RouteWriterResult, RouteWriterSettings } from '../programs/route-writer.ts';
import type { TunnelsReport, TunnelsSettings } from '../programs/tunnels.ts';
import { hipacheWith, workersOf } from '../proxies/hipache.ts';
import { checkoutNames, type ProxyName, type RunningProxy, startProxy } from '../proxies/proxy.ts';
import { startRedis } from '../redis.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

const workers = 2;
const changesPerSecond = 500;
/** Hosts that change, in turn. */
const changedHosts = 200;
/** Requests per second, on hosts that do not change, to one of the instances. */
const ratePerSecond = 2000;
const tunnels = 50;
const replacements = 10;
const marginMs = 60_000;

/** What several workers and instances do together. Both cores are shared by all: the figures are bounds from above. */
export const fleetGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'fleet-changes',
      title: `two instances of ${workers} workers on one Redis, ${changesPerSecond} route changes/s`,
      proxies: checkoutNames,
      run: changes,
    },
    {
      name: 'fleet-replace',
      title: `${workers} workers, all replaced ${replacements} times under ${ratePerSecond} requests/s`,
      proxies: checkoutNames,
      run: replace,
    },
  ],
};

async function changes({ site, short }: Context, proxyName: ProxyName): Promise<Sample> {
  const changesSeconds = short ? 5 : 20;
  const store = await startRedis(site, 'fleet');
  const start = () => startInstance(site, proxyName, 'fleet', store);
  const instances = [await start(), await start()];
  try {
    const [first, second] = site.tellingPorts;
    const backends = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`] as const;
    const held = await Promise.all(instances.map((instance, i) => hold(site, instance, i)));
    const writer: RouteWriterSettings = {
      store,
      hosts: Array.from({ length: changedHosts }, (_, i) => `changed-${i}.bench.example`),
      backends,
      changesPerSecond,
      seconds: 2 * warmUpSeconds + changesSeconds + 1,
    };
    const prober: FleetProberSettings = {
      store,
      instances: instances.map(({ pid, port }) => ({ port, workers: workersOf(pid) })),
      host: 'probe.bench.example',
      backends,
      warmUpSeconds: 2 * warmUpSeconds,
      seconds: changesSeconds,
    };
    const seconds = 2 * warmUpSeconds + changesSeconds;
    const load = { path: '/', connections: 32, hosts: fewRoutes.hosts, ratePerSecond, warmUpSeconds, seconds, seed: 3 };
    const [loaded, written, probed] = await Promise.all([
      openLoop(site, { ...load, port: instances[0]?.port ?? 0 }),
      run<RouteWriterResult>(site, 'route-writer', writer, writer.seconds),
      run<FleetProberResult>(site, 'fleet-prober', prober, seconds),
    ]);
    const closed = (await Promise.all(held.map(closedOf))).reduce((sum, count) => sum + count, 0);
    const { probes, failed: probesFailed, workers: _, ...times } = probed;
    return {
      ...times,
      requests: loaded.requests,
      p50Us: loaded.p50Us,
      p99Us: loaded.p99Us,
      ratePerSecond,
      changesPerSecond: (written.changes + probes) / writer.seconds,
      tunnels: tunnels * instances.length,
      closed,
      failed: loaded.failed + written.failed + probesFailed,
    };
  } finally {
    for (const instance of instances) await instance.stop();
  }
}

async function replace({ site, short }: Context, proxyName: ProxyName): Promise<Sample> {
  const store = await startRedis(site, 'replace');
  const instance = await startInstance(site, proxyName, 'fleet-replace', store);
  try {
    const seconds = (short ? 3 : 4) * replacements;
    const load = { path: '/', connections: 64, hosts: fewRoutes.hosts, port: instance.port, ratePerSecond, seed: 4 };
    const loading = openLoop(site, { ...load, warmUpSeconds, seconds });
    for (let i = 0; i < replacements; i++) await replaceAll(instance);
    const { requests, failed, p50Us, p99Us } = await loading;
    return { requests, failed, p50Us, p99Us, ratePerSecond };
  } finally {
    await instance.stop();
  }
}

/** Asks for new workers, and waits until all of those that served have been joined by one. */
async function replaceAll({ pid }: RunningProxy): Promise<void> {
  const before = new Set(workersOf(pid));
  process.kill(pid, 'SIGHUP');
  for (const endMs = performance.now() + marginMs; performance.now() < endMs; await delay(50)) {
    if (workersOf(pid).filter((worker) => !before.has(worker)).length >= workers) {
      // The last of them may still be loading: the next order waits for this one in the proxy.
      await delay(1000);
      return;
    }
  }
  throw new Error('the workers were not replaced');
}

let started = 0;

function startInstance(site: Site, name: ProxyName, label: string, store: string): Promise<RunningProxy> {
  const routes = { ...fewRoutes, name: `${label}-${++started}` };
  return startProxy(site, name, routes, (where, plan) => hipacheWith(where, plan, { store, workers }));
}

/** Opens tunnels that are only to stay open. */
async function hold(site: Site, { port }: RunningProxy, number: number): Promise<Running> {
  const settings: TunnelsSettings = {
    ...{ port, host: site.echoHost, connections: tunnels, mode: 'hold', bytes: 64, burst: 1, seconds: 0 },
  };
  const command = [process.execPath, programs.tunnels, JSON.stringify(settings)];
  const running = site.processes.start(`held-${number}-${started}`, command, { core: site.loadCore });
  for (const endMs = performance.now() + marginMs; performance.now() < endMs; await delay(50)) {
    if (running.output().includes('"open"')) return running;
  }
  throw new Error(`the tunnels did not open:\n${running.output()}`);
}

async function closedOf(held: Running): Promise<number> {
  await held.stop();
  const report: TunnelsReport = JSON.parse(held.output().trim().split('\n').at(-1) ?? '{}');
  return report.closed;
}

async function run<Result>(
  site: Site,
  name: keyof typeof programs,
  settings: unknown,
  seconds: number,
): Promise<Result> {
  const command = [process.execPath, programs[name], JSON.stringify(settings)];
  return JSON.parse(await site.processes.run(name, command, { core: site.loadCore }, seconds * 1000 + marginMs));
}

const programs = {
  'route-writer': fileURLToPath(import.meta.resolve('../programs/route-writer.ts')),
  'fleet-prober': fileURLToPath(import.meta.resolve('../programs/fleet-prober.ts')),
  tunnels: fileURLToPath(import.meta.resolve('../programs/tunnels.ts')),
};
