import { once } from 'node:events';
import { get } from 'node:http';
import { requestEachShop } from '../load/each-host.ts';
import { type WrkLoad, wrk } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import { hipacheWith, workersOf } from '../proxies/hipache.ts';
import { checkoutNames, type ProxyName, type RunningProxy, startProxy } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import { filledStore } from '../stores/filled-store.ts';
import { memory } from '../usage.ts';
import type { Context, Group } from './scenario.ts';
import { firstWarmUp, smallLoad } from './throughput.ts';

const MiB = 1024 * 1024;
const count = 1_000_000;
/** Until the cache is full under Zipf's law, and gives up as many hosts as it takes. */
const fillSeconds = 60;
const routes = { ...routeSet(count), name: 'million', backends: 2 };

/** A million hosts with two backends each, in the embedded store. Each measurement has a program of its own. */
export const millionGroup: Group = {
  short: false,
  once: true,
  scenarios: [
    {
      name: 'million-start',
      title: 'from the start of the program to its first response, 1,000,000 hosts in the store',
      proxies: checkoutNames,
      run: firstResponse,
    },
    {
      name: 'million-all',
      title: 'RSS of a worker that has served each of 1,000,000 hosts, and keeps all',
      proxies: checkoutNames,
      run: serveAll,
    },
    {
      name: 'million-10',
      title: '40 bytes, over 10 of 1,000,000 hosts',
      proxies: checkoutNames,
      run: serveTen,
    },
    {
      name: 'million-zipf',
      title: '40 bytes, over 1,000,000 hosts by Zipf’s law, the default cache',
      proxies: checkoutNames,
      run: serveZipf,
    },
  ],
};

async function firstResponse({ site }: Context, name: ProxyName): Promise<Sample> {
  await filledStore(site, name, routes);
  const startMs = performance.now();
  const proxy = await start(site, name);
  try {
    const headers = { host: routes.hosts[0] ?? '' };
    const [response] = await once(get({ host: '127.0.0.1', port: proxy.port, headers }), 'response');
    const firstResponseMs = performance.now() - startMs;
    response.resume();
    return { firstResponseMs, failed: response.statusCode === 200 ? 0 : 1, routes: count, requests: 1 };
  } finally {
    await proxy.stop();
  }
}

async function serveAll({ site }: Context, name: ProxyName): Promise<Sample> {
  const proxy = await start(site, name, { cacheEntriesMax: count });
  try {
    const { requests, failed } = await requestEachShop(site, load(proxy), count);
    return { ...residentOf(proxy), routes: count, requests, failed };
  } finally {
    await proxy.stop();
  }
}

function serveTen(context: Context, name: ProxyName): Promise<Sample> {
  const { seconds, warmUpSeconds } = context;
  return serve(context, name, { hosts: routes.hosts.slice(0, 10) }, warmUpSeconds * firstWarmUp, seconds);
}

function serveZipf(context: Context, name: ProxyName): Promise<Sample> {
  return serve(context, name, { shops: { count, order: 'zipf' } }, fillSeconds, context.seconds);
}

async function serve(
  { site }: Context,
  name: ProxyName,
  which: Partial<Pick<WrkLoad, 'hosts' | 'shops'>>,
  warmUpSeconds: number,
  seconds: number,
): Promise<Sample> {
  const proxy = await start(site, name);
  try {
    await wrk(site, { ...load(proxy), ...which, seconds: warmUpSeconds });
    const sample = await measure(site, proxy, () => wrk(site, { ...load(proxy), ...which, seconds }));
    return { ...sample, ...residentOf(proxy), routes: count };
  } finally {
    await proxy.stop();
  }
}

async function start(
  site: Context['site'],
  name: ProxyName,
  limits?: Readonly<Record<string, number>>,
): Promise<RunningProxy> {
  const { url } = await filledStore(site, name, routes);
  const more = limits === undefined ? {} : { limits };
  return startProxy(site, name, routes, (where, plan) => hipacheWith(where, plan, { store: url, workers: 1, ...more }));
}

function load({ port }: RunningProxy): Omit<WrkLoad, 'seconds'> {
  return { ...smallLoad, port };
}

function residentOf({ pid }: RunningProxy): Sample {
  const [worker = pid] = workersOf(pid);
  const all = memory(pid).residentBytes;
  const own = memory(worker).residentBytes;
  return { rssMib: own / MiB, primaryRssMib: (all - own) / MiB };
}
