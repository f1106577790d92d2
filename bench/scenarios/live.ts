import { requestEachHost } from '../load/each-host.ts';
import { HeldTunnels } from '../load/held-tunnels.ts';
import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import { runProgram } from '../program.ts';
import type { FleetProberResult, FleetProberSettings } from '../programs/fleet-prober.ts';
import type { RouteWriterResult, RouteWriterSettings } from '../programs/route-writer.ts';
import { workersOf } from '../proxies/hipache.ts';
import { startInstance } from '../proxies/instance.ts';
import { checkoutNames, type ProxyName, type RunningProxy } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { fill } from '../stores/filled-store.ts';
import { type StoreKind, startStore } from '../stores/start-store.ts';
import { cpuSeconds } from '../usage.ts';
import type { Context, Group, Scenario } from './scenario.ts';
import { smallLoad } from './throughput.ts';

/** Hosts that are requested and do not change, and those that change in turn. Workers have all in their caches. */
const steadyHosts = 10;
const changedHosts = 1000;
const routes = routeSet(steadyHosts + changedHosts);
/** Requests per second on hosts that do not change, over all instances. */
const ratePerSecond = 2000;
const tunnelsPerInstance = 50;
/** A change takes some 20 ms, and a p99 needs many of them: this many times as long as other measurements. */
const lengthFactor = 4;
/** The changes go on this much longer than the prober, in seconds. */
const marginSeconds = 1;

/** What changes routes, and who is to serve them. */
export interface ChangeSetting {
  readonly store: StoreKind;
  readonly instances: number;
  readonly workers: number;
  readonly changesPerSecond: number;
}

/**
 * How soon every worker of a fleet serves a route that was written, while 1,000 others change in each second. All
 * instances are on one core; `-alone` shows one that has it to itself.
 */
export const liveGroup: Group = {
  short: false,
  scenarios: [
    scenario('redis', { instances: 3, workers: 1 }),
    scenario('etcd', { instances: 3, workers: 1 }),
    scenario('zookeeper', { instances: 3, workers: 1 }),
    scenario('redis', { instances: 1, workers: 1 }, '-alone'),
    scenario('etcd', { instances: 1, workers: 1 }, '-alone'),
    scenario('sqlite', { instances: 1, workers: 2 }),
  ],
};

/** @param suffix of the name. */
function scenario(
  store: StoreKind,
  { instances, workers }: Pick<ChangeSetting, 'instances' | 'workers'>,
  suffix = '',
): Scenario {
  const setting = { store, instances, workers, changesPerSecond: 1000 };
  const who = [
    instances === 1 ? 'one instance' : `${instances} instances`,
    workers === 1 ? 'one worker' : `${workers} workers`,
  ].join(' of ');
  return {
    name: `live-${store}${suffix}`,
    title: `${who}, ${setting.changesPerSecond.toLocaleString('en')} route changes/s to be made`,
    proxies: checkoutNames,
    run: (context, proxyName) => serveChanges(context, proxyName, setting),
  };
}

/**
 * Changes routes of hosts that all workers have served, and measures how soon every worker serves the route of one more.
 * Meanwhile other hosts are requested, and tunnels are open.
 */
export async function serveChanges(
  { site, seconds: usualSeconds }: Context,
  proxyName: ProxyName,
  setting: ChangeSetting,
): Promise<Sample> {
  const store = await startStore(site, setting.store, 'live');
  await fill(store.url, routes, site);
  const instances: RunningProxy[] = [];
  try {
    for (let i = 0; i < setting.instances; i++) {
      instances.push(await startInstance(site, proxyName, store.url, setting.workers));
    }
    for (const { port } of instances) await requestEachHost(site, { ...smallLoad, hosts: routes.hosts, port });
    const held = await Promise.all(instances.map((instance) => HeldTunnels.open(site, instance, tunnelsPerInstance)));
    const cpuBefore = cpuOf(instances);
    const startMs = performance.now();
    const [loaded, written, probed] = await underChanges(site, instances, store.url, {
      changesPerSecond: setting.changesPerSecond,
      seconds: lengthFactor * usualSeconds,
    });
    const proxyPercent = ((cpuOf(instances) - cpuBefore) / (performance.now() - startMs)) * 1e5;
    const closed = await Promise.all(held.map((tunnels) => tunnels.close()));
    const { probes, failed: probesFailed, workers: _, ...times } = probed;
    return {
      ...times,
      requests: loaded.requests,
      p50Us: loaded.p50Us,
      p99Us: loaded.p99Us,
      loadPercent: loaded.loadPercent ?? 100,
      ratePerSecond,
      changesPerSecond: written.changes / written.seconds + probes / (lengthFactor * usualSeconds),
      writesInFlight: written.inFlight,
      tunnels: tunnelsPerInstance * instances.length,
      closed: closed.reduce((sum, count) => sum + count, 0),
      failed: loaded.failed + written.failed + probesFailed,
      proxyPercent,
    };
  } finally {
    for (const instance of instances) await instance.stop();
    await store.stop();
  }
}

function underChanges(
  site: Site,
  instances: readonly RunningProxy[],
  store: string,
  { changesPerSecond, seconds }: { readonly changesPerSecond: number; readonly seconds: number },
) {
  const [first, second] = site.tellingPorts;
  const backends = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`] as const;
  const writer: RouteWriterSettings = {
    ...{ store, backends, changesPerSecond },
    hosts: routes.hosts.slice(steadyHosts),
    seconds: 2 * warmUpSeconds + seconds + marginSeconds,
  };
  const prober: FleetProberSettings = {
    ...{ store, backends, seconds },
    instances: instances.map(({ pid, port }) => ({ port, workers: workersOf(pid) })),
    host: 'probe.bench.example',
    warmUpSeconds: 2 * warmUpSeconds,
  };
  const load = {
    ...{ path: '/', connections: 32, ratePerSecond, warmUpSeconds, seed: 3 },
    hosts: routes.hosts.slice(0, steadyHosts),
    port: instances.map(({ port }) => port),
    seconds: 2 * warmUpSeconds + seconds,
  };
  return Promise.all([
    openLoop(site, load),
    runProgram<RouteWriterResult>(site, 'route-writer', writer, writer.seconds),
    runProgram<FleetProberResult>(site, 'fleet-prober', prober, prober.warmUpSeconds + seconds),
  ]);
}

function cpuOf(instances: readonly RunningProxy[]): number {
  return instances.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
}
