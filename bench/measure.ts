import type { LoadResult } from './load/wrk.ts';
import type { RunningProxy } from './proxies/proxy.ts';
import type { Sample } from './sample.ts';
import type { Site } from './site.ts';
import { coreSeconds, cpuSeconds, memory } from './usage.ts';

const MiB = 1024 * 1024;

/** Runs a load, and takes what the proxy and the cores did meanwhile. */
export async function measure(site: Site, proxy: RunningProxy, load: () => Promise<LoadResult>): Promise<Sample> {
  const before = observe(site, proxy.pid);
  const result = await load();
  const after = observe(site, proxy.pid);
  const { requests, seconds, failed, p50Us, p99Us, p999Us, slicedP99Us } = result;
  const wallSeconds = after.wall - before.wall;
  const cpu = after.cpu - before.cpu;
  const percent = (part: number) => (part / wallSeconds) * 100;
  return {
    cpuUsPerRequest: (cpu / requests) * 1e6,
    requestsPerSecond: requests / seconds,
    p50Us,
    p99Us,
    p999Us,
    ...(slicedP99Us === undefined ? {} : { slicedP99Us }),
    rssMib: memory(proxy.pid).residentBytes / MiB,
    failed,
    requests,
    seconds,
    proxyPercent: percent(cpu),
    foreignPercent: Math.max(0, percent(after.proxyCore - before.proxyCore - cpu)),
    loadPercent: result.loadPercent ?? Math.min(100, percent(after.loadCore - before.loadCore)),
  };
}

function observe(site: Site, pid: number) {
  const proxyCore = coreSeconds(site.proxyCore);
  const loadCore = coreSeconds(site.loadCore);
  return {
    wall: performance.now() / 1000,
    cpu: cpuSeconds(pid),
    proxyCore: proxyCore.busy + proxyCore.stolen,
    loadCore: loadCore.busy + loadCore.stolen,
  };
}
