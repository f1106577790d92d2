import { requestEachHost } from '../load/each-host.ts';
import { wrk } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import { runProgram } from '../program.ts';
import type { RouteWriterResult, RouteWriterSettings } from '../programs/route-writer.ts';
import { checkoutNames, type ProxyName } from '../proxies/proxy.ts';
import { type RouteSet, routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { type RunningStore, startStore } from '../stores/start-store.ts';
import type { Context, Group, Scenario } from './scenario.ts';
import { firstWarmUp, smallLoad } from './throughput.ts';

/** The first host is requested; the others change in turn. The worker has all in its cache. */
const changedHosts = 1000;
const inSqlite: RouteSet = { ...routeSet(1 + changedHosts), name: 'churn' };
const inRedis: RouteSet = { ...inSqlite, name: 'churn-redis', store: 'redis' };
/** The changes begin this much before the measurement, and end this much after it, in seconds. */
const marginSeconds = 2;

/** Processes of proxies that have served all hosts, and are warm. */
const warm = new Set<number>();
/** Stores that no proxy has, by the kind. */
const others = new Map<string, Promise<RunningStore>>();

/**
 * What changes of other hosts take from a load as hard as it can. In the case without changes the same program writes to
 * another store of the same kind: what it takes from the load's core is in both.
 */
export const churnGroup: Group = {
  short: false,
  routes: [inSqlite, inRedis],
  scenarios: [
    scenario(inSqlite, 0),
    scenario(inSqlite, 1000),
    scenario(inRedis, 0),
    scenario(inRedis, 1000),
    scenario(inRedis, 10_000),
  ],
};

function scenario(routes: RouteSet, changesPerSecond: number): Scenario {
  const kind = routes.store ?? 'sqlite';
  const changes = changesPerSecond === 0 ? 'no' : changesPerSecond.toLocaleString('en');
  return {
    name: `churn-${kind}-${changesPerSecond}`,
    title: `40 bytes, ${changes} route changes/s on other hosts, ${kind === 'redis' ? 'Redis' : 'SQLite'}`,
    proxies: checkoutNames,
    run: (context, proxyName) => run(context, proxyName, routes, changesPerSecond),
  };
}

async function run(
  { site, fleet, seconds, warmUpSeconds }: Context,
  proxyName: ProxyName,
  routes: RouteSet,
  changesPerSecond: number,
): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, routes);
  const load = { ...smallLoad, port: proxy.port };
  if (!warm.has(proxy.pid)) {
    await requestEachHost(site, { ...load, hosts: routes.hosts });
    await wrk(site, { ...load, seconds: warmUpSeconds * firstWarmUp });
    warm.add(proxy.pid);
  }
  const isChanging = changesPerSecond > 0;
  const writer: RouteWriterSettings = {
    store: isChanging && proxy.store !== null ? proxy.store : (await otherStore(site, routes)).url,
    hosts: routes.hosts.slice(1),
    backends: site.backendPorts.map((port) => `http://127.0.0.1:${port}`),
    changesPerSecond: isChanging ? changesPerSecond : 1000,
    seconds: warmUpSeconds + seconds + 2 * marginSeconds,
  };
  const [sample, written] = await Promise.all([
    loaded(),
    runProgram<RouteWriterResult>(site, 'route-writer', writer, writer.seconds),
  ]);
  return {
    ...sample,
    failed: (sample.failed ?? 0) + written.failed,
    changesPerSecond: isChanging ? written.changes / written.seconds : 0,
    writesInFlight: written.inFlight,
  };

  async function loaded(): Promise<Sample> {
    await wrk(site, { ...load, seconds: warmUpSeconds + marginSeconds });
    return measure(site, proxy, () => wrk(site, { ...load, seconds }));
  }
}

function otherStore(site: Site, routes: RouteSet): Promise<RunningStore> {
  const kind = routes.store ?? 'sqlite';
  const known = others.get(kind) ?? startStore(site, kind, 'other');
  others.set(kind, known);
  return known;
}
