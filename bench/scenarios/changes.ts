import { join } from 'node:path';
import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import { measure } from '../measure.ts';
import { runProgram } from '../program.ts';
import type { RouteProberResult, RouteProberSettings } from '../programs/route-prober.ts';
import type { RouteWriterResult, RouteWriterSettings } from '../programs/route-writer.ts';
import { checkoutNames, type ProxyName } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

/** Requests per second on hosts that do not change. */
const ratePerSecond = 10_000;
const changesPerSecond = 500;
/** Hosts that change, in turn. */
const changedHosts = 1000;
/** The load goes on this much longer than the changes, so that they are all under load. Seconds. */
const marginSeconds = 1;

/**
 * What changes of other hosts do to the traffic. In the case without changes the same program writes to another file:
 * what it takes from the load's core is in both. So is the prober, which changes one host some 30 times a second.
 */
export const changesGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'changes-0',
      title: `${ratePerSecond} requests/s, no changes but the prober's`,
      proxies: checkoutNames,
      run: (context, proxy) => run(context, proxy, false),
    },
    {
      name: 'changes-500',
      title: `${ratePerSecond} requests/s, ${changesPerSecond} route changes/s on other hosts`,
      proxies: checkoutNames,
      run: (context, proxy) => run(context, proxy, true),
    },
  ],
};

async function run(context: Context, proxyName: ProxyName, changing: boolean): Promise<Sample> {
  const { site, fleet, seconds } = context;
  const proxy = await fleet.proxy(proxyName, fewRoutes);
  const [first, second] = site.tellingPorts;
  const backends = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`] as const;
  const writer: RouteWriterSettings = {
    store: changing && proxy.store !== null ? proxy.store : `sqlite:${join(site.directory, 'other.db')}`,
    hosts: Array.from({ length: changedHosts }, (_, i) => `changed-${i}.bench.example`),
    backends,
    changesPerSecond,
    seconds: warmUpSeconds + seconds + marginSeconds,
  };
  const prober: RouteProberSettings = {
    store: proxy.store ?? '',
    port: proxy.port,
    host: 'probe.bench.example',
    backends,
    seconds: warmUpSeconds + seconds - 1,
  };
  const load = {
    path: '/',
    connections: 64,
    hosts: fewRoutes.hosts,
    port: proxy.port,
    ratePerSecond,
    warmUpSeconds,
    seconds,
    seed: 2,
  };
  const written = runProgram<RouteWriterResult>(site, 'route-writer', writer, writer.seconds);
  const probed = runProgram<RouteProberResult>(site, 'route-prober', prober, prober.seconds);
  const [sample, writerResult, proberResult] = await Promise.all([
    measure(site, proxy, () => openLoop(site, load)),
    written,
    probed,
  ]);
  const { probes, failed: probesFailed, ...times } = proberResult;
  return {
    ...sample,
    ...times,
    ratePerSecond,
    failed: (sample.failed ?? 0) + writerResult.failed + probesFailed,
    changesPerSecond: (probes + (changing ? writerResult.changes : 0)) / writerResult.seconds,
  };
}
