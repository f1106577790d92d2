import { setTimeout as delay } from 'node:timers/promises';
import { connectionsOf } from '../connections.ts';
import { wrk } from '../load/wrk.ts';
import { hipacheWith, workersOf } from '../proxies/hipache.ts';
import { checkoutNames, type ProxyName, startProxy } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import { filledStore } from '../stores/filled-store.ts';
import { writeCalls } from '../usage.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes, firstWarmUp, smallLoad } from './throughput.ts';

const workers = 2;
/** Of a request: one to the backend, one to the client. */
const writesPerRequest = 2;
/** How far the write calls of all workers may be from the requests. */
const deviationMax = 0.1;

let started = 0;

/** How evenly workers share the requests. Each round starts anew: the kernel spreads the connections anew. */
export const balanceGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'balance',
      title: `40 bytes, ${smallLoad.connections} connections kept, ${workers} workers on two cores`,
      proxies: checkoutNames,
      run: balance,
    },
  ],
};

async function balance({ site, seconds, warmUpSeconds }: Context, proxyName: ProxyName): Promise<Sample> {
  const cores = [site.proxyCore, site.loadCore];
  const routes = { ...fewRoutes, name: `balance-${++started}` };
  const { url: store } = await filledStore(site, proxyName, routes);
  const proxy = await startProxy(
    site,
    proxyName,
    routes,
    (where, plan) => hipacheWith(where, plan, { store, workers }),
    cores,
  );
  try {
    const load = { ...smallLoad, port: proxy.port, cores };
    await wrk(site, { ...load, seconds: warmUpSeconds * firstWarmUp });
    const pids = workersOf(proxy.pid);
    if (pids.length !== workers) throw new Error(`there are ${pids.length} workers in place of ${workers}`);
    const before = pids.map(writeCalls);
    const loading = wrk(site, { ...load, seconds });
    const [result, connections] = await Promise.all([
      loading,
      delay((seconds * 1000) / 2).then(() => connectionsOf(pids, proxy.port)),
    ]);
    const writes = pids.map((pid, i) => writeCalls(pid) - (before[i] ?? 0));
    const sum = writes.reduce((a, b) => a + b, 0);
    expectRequests(sum, result.requests);
    const { requests, failed, p50Us, p99Us } = result;
    return {
      imbalancePercent: ((Math.max(...writes) * workers) / sum - 1) * 100,
      busiestConnections: Math.max(...connections),
      requestsPerSecond: requests / result.seconds,
      ...{ p50Us, p99Us, failed, requests, seconds: result.seconds },
    };
  } finally {
    await proxy.stop();
  }
}

/** @throws where the write calls do not tell the requests of a worker. */
function expectRequests(writes: number, requests: number): void {
  const perRequest = writes / requests;
  if (Math.abs(perRequest / writesPerRequest - 1) <= deviationMax) return;
  throw new Error(
    `the workers made ${perRequest.toFixed(2)} write calls for each request in place of ${writesPerRequest}: they do ` +
      'not tell how many requests each worker had',
  );
}
