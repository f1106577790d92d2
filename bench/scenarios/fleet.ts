import { setTimeout as delay } from 'node:timers/promises';
import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import { workersOf } from '../proxies/hipache.ts';
import { startInstance } from '../proxies/instance.ts';
import { checkoutNames, type ProxyName, type RunningProxy } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import { fill } from '../stores/filled-store.ts';
import { startStore } from '../stores/start-store.ts';
import { serveChanges } from './live.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

const workers = 2;
const changesPerSecond = 500;
/** Requests per second while workers are replaced. */
const ratePerSecond = 2000;
const replacements = 10;
const marginMs = 60_000;

/**
 * What several workers and instances do together. They have one core, and all that surrounds them the other: the figures
 * are bounds from above.
 */
export const fleetGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'fleet-changes',
      title: `two instances of ${workers} workers on one Redis, ${changesPerSecond} route changes/s`,
      proxies: checkoutNames,
      run: (context, proxyName) =>
        serveChanges(context, proxyName, { store: 'redis', instances: 2, workers, changesPerSecond }),
    },
    {
      name: 'fleet-replace',
      title: `${workers} workers, all replaced ${replacements} times under ${ratePerSecond} requests/s`,
      proxies: checkoutNames,
      run: replace,
    },
  ],
};

async function replace({ site, short }: Context, proxyName: ProxyName): Promise<Sample> {
  const store = await startStore(site, 'redis', 'replace');
  await fill(store.url, fewRoutes, site);
  const instance = await startInstance(site, proxyName, store.url, workers);
  try {
    const seconds = (short ? 3 : 4) * replacements;
    const load = { path: '/', connections: 64, hosts: fewRoutes.hosts, port: instance.port, ratePerSecond, seed: 4 };
    const loading = openLoop(site, { ...load, warmUpSeconds, seconds });
    for (let i = 0; i < replacements; i++) await replaceAll(instance);
    const { requests, failed, p50Us, p99Us } = await loading;
    return { requests, failed, p50Us, p99Us, ratePerSecond };
  } finally {
    await instance.stop();
    await store.stop();
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
