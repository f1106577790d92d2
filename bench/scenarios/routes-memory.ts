import { setTimeout as delay } from 'node:timers/promises';
import { requestEachHost } from '../load/each-host.ts';
import { wrk } from '../load/wrk.ts';
import { workersOf } from '../proxies/hipache.ts';
import { checkoutNames, type ProxyName } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import { memory } from '../usage.ts';
import type { Context, Group } from './scenario.ts';
import { firstWarmUp, smallLoad } from './throughput.ts';

const KiB = 1024;
const routes = { ...routeSet(100_000), name: 'routes-memory' };
const fewerRoutes = { ...routeSet(20_000), name: 'routes-memory' };
/** Memory that has changed by less than `stillBytes` for this long keeps still; after `settleMsMax` it is what it is. */
const settleMs = 3000;
const settleMsMax = 20_000;
const stillBytes = 256 * KiB;

/** What a route in the cache takes. Each round has a proxy of its own. */
export const routesMemoryGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'routes-memory',
      title: 'RSS of a worker with 100,000 routes in its cache, less that with one (20,000 in the short form)',
      proxies: checkoutNames,
      run: cacheAll,
    },
  ],
};

async function cacheAll({ site, fleet, warmUpSeconds, short }: Context, proxyName: ProxyName): Promise<Sample> {
  const set = short ? fewerRoutes : routes;
  const proxy = await fleet.proxy(proxyName, set);
  // Routes are in the worker's cache; the primary beside it has none.
  const [worker = proxy.pid] = workersOf(proxy.pid);
  const load = { ...smallLoad, port: proxy.port };
  // What a worker takes for the load itself, it has by then.
  await wrk(site, { ...load, hosts: set.hosts.slice(0, 1), seconds: warmUpSeconds * firstWarmUp });
  const before = await settledBytes(worker);
  const { requests, failed } = await requestEachHost(site, { ...load, hosts: set.hosts });
  const after = await settledBytes(worker);
  await fleet.retire(set);
  return { rssKibPerRoute: (after - before) / set.hosts.length / KiB, routes: set.hosts.length, requests, failed };
}

/** The resident memory of a process, once it keeps still. */
async function settledBytes(pid: number): Promise<number> {
  const startMs = performance.now();
  let bytes = memory(pid).residentBytes;
  let sinceMs = startMs;
  while (performance.now() < Math.min(sinceMs + settleMs, startMs + settleMsMax)) {
    await delay(100);
    const now = memory(pid).residentBytes;
    if (Math.abs(now - bytes) < stillBytes) continue;
    bytes = now;
    sinceMs = performance.now();
  }
  return memory(pid).residentBytes;
}
