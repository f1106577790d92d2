import { setTimeout as delay } from 'node:timers/promises';
import { requestEachShop } from '../load/each-host.ts';
import { runProgram } from '../program.ts';
import type { RouteWriterResult, RouteWriterSettings } from '../programs/route-writer.ts';
import { checkoutNames, type ProxyName, type RunningProxy } from '../proxies/proxy.ts';
import { type RouteSet, routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { filledStore } from '../stores/filled-store.ts';
import { cpuSeconds, memory } from '../usage.ts';
import type { Context, Group, Scenario } from './scenario.ts';
import { smallLoad } from './throughput.ts';

const MiB = 1024 * 1024;
const changesPerSecond = 1000;
/** Hosts that change in turn, the same number of them among 10 and among a million. */
const fewChanged = 10;
/** Hosts that change in turn where each change is to be of another one. */
const manyChanged = 100_000;
/** Of other measurements: the time without changes, and the time with them, is this many times as long. */
const lengthFactor = 2;
/** After the last change, until its work is done, in ms. */
const settleMs = 300;
/** A proxy is idle that takes less than this of a core; after so long it is as idle as it becomes, in ms. */
const idleShareMax = 0.03;
const idleMsMax = 60_000;

const sizes: readonly (readonly [name: string, count: number])[] = [
  ['10', 10],
  ['100k', 100_000],
  ['million', 1_000_000],
];
const stores = ['sqlite', 'redis'] as const;

/** Processes of proxies that have served every host, and many changes. */
const warm = new Set<number>();

/** The CPU time of a change, by the number of hosts. All are in the worker's cache, and nothing is requested. */
export const changeCostGroup: Group = {
  short: false,
  routes: stores.flatMap((store) => sizes.map(([name, count]) => routesOf(store, name, count))),
  scenarios: stores.flatMap((store) => [
    ...sizes.map(([name, count]) => scenario(store, name, count, fewChanged)),
    scenario(store, 'million', 1_000_000, manyChanged),
  ]),
};

function scenario(store: (typeof stores)[number], name: string, count: number, changed: number): Scenario {
  const routes = routesOf(store, name, count);
  const isMany = changed === manyChanged;
  const title = store === 'redis' ? 'Redis' : 'SQLite';
  return {
    name: `change-cost-${name}${isMany ? '-each' : ''}-${store}`,
    title: `${title}, ${count.toLocaleString('en')} hosts, ${changed.toLocaleString('en')} of them change in turn`,
    proxies: checkoutNames,
    run: (context, proxyName) => run(context, proxyName, routes, count, changed),
  };
}

function routesOf(store: (typeof stores)[number], name: string, count: number): RouteSet {
  return {
    ...routeSet(count),
    ...{ name: `change-cost-${name}-${store}`, backends: 2, cacheEntriesMax: Math.max(count, 1000) },
    ...(store === 'redis' ? { store } : {}),
  };
}

async function run(
  { site, fleet, seconds, warmUpSeconds }: Context,
  proxyName: ProxyName,
  routes: RouteSet,
  count: number,
  changed: number,
): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, routes);
  const { pid: storePid } = await filledStore(site, proxyName, routes);
  const change = (lengthSeconds: number) => changeRoutes(site, proxy, { count, changed, seconds: lengthSeconds });
  if (!warm.has(proxy.pid)) {
    await requestEachShop(site, { ...smallLoad, port: proxy.port }, count);
    await change(4 * warmUpSeconds);
    warm.add(proxy.pid);
  }
  await untilIdle(proxy);
  const idle = await usageDuring(proxy, () => delay(lengthFactor * seconds * 1000));
  const busy = await usageDuring(proxy, () => change(lengthFactor * seconds));
  const { changes, failed, inFlight, seconds: changeSeconds } = busy.result;
  return {
    cpuUsPerChange: ((busy.cpuSeconds - (idle.cpuSeconds / idle.seconds) * busy.seconds) / changes) * 1e6,
    changesPerSecond: changes / changeSeconds,
    writesInFlight: inFlight,
    routes: count,
    rssMib: memory(proxy.pid).residentBytes / MiB,
    ...(storePid === null ? {} : { storeRssMib: memory(storePid).residentBytes / MiB }),
    failed,
    seconds: changeSeconds,
    proxyPercent: (busy.cpuSeconds / busy.seconds) * 100,
  };
}

/** Changes hosts that are spread over all. */
async function changeRoutes(
  site: Site,
  { store }: RunningProxy,
  { count, changed, seconds }: { readonly count: number; readonly changed: number; readonly seconds: number },
): Promise<RouteWriterResult> {
  const settings: RouteWriterSettings = {
    store: store ?? '',
    hosts: { count: changed, step: count / changed },
    // More than two: a reading that comes late still finds a record that differs from the last one.
    backends: site.backendPorts.map((port) => `http://127.0.0.1:${port}`),
    ...{ changesPerSecond, seconds },
  };
  const result = await runProgram<RouteWriterResult>(site, 'route-writer', settings, seconds);
  await delay(settleMs);
  return result;
}

interface Usage<Result> {
  /** What the proxy took, and how long it was. */
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly result: Result;
}

async function usageDuring<Result>({ pid }: RunningProxy, work: () => Promise<Result>): Promise<Usage<Result>> {
  const cpuBefore = cpuSeconds(pid);
  const startMs = performance.now();
  const result = await work();
  return { cpuSeconds: cpuSeconds(pid) - cpuBefore, seconds: (performance.now() - startMs) / 1000, result };
}

/** What the proxy does after a load, such as to write its snapshot, is done by then. */
async function untilIdle(proxy: RunningProxy): Promise<void> {
  for (const endMs = performance.now() + idleMsMax; performance.now() < endMs; ) {
    const usage = await usageDuring(proxy, () => delay(1000));
    if (usage.cpuSeconds / usage.seconds < idleShareMax) return;
  }
}
