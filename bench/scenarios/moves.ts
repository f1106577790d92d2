import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startOpenLoop, warmUpSeconds } from '../load/open-loop.ts';
import type { LoadResult } from '../load/wrk.ts';
import type { RouteMoverResult, RouteMoverSettings } from '../programs/route-mover.ts';
import { checkoutNames, type ProxyName, proxyNames, type RunningProxy } from '../proxies/proxy.ts';
import { type RouteSet, routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { cpuSecondsWithEnded, memory, processTree, proportionalBytes, watchPeak } from '../usage.ts';
import type { Context, Group, Scenario } from './scenario.ts';

const MiB = 1024 * 1024;
const movedHost = 'moved.bench.example';
/** Changes of one measurement, and when the last of them begins at the latest, in seconds. */
const changes = 20;
const fewerChanges = 5;
const secondsMax = 60;
/** One change takes longer at most, in seconds; so does the end of all. */
const marginSeconds = 90;
/** Requests per second on hosts that do not change, how many those are at most, and their connections. */
const ratePerSecond = 1000;
const requestedHosts = 1000;
const connections = 32;
const tunnels = 50;
const peakEveryMs = 20;

/**
 * One change of one route, in the way that each proxy offers for it: `bench/proxies/` has how each is set up. The load is
 * there twice: without changes, for what it takes by itself, and with them. Each measurement has proxies of its own.
 */
export const movesGroup: Group = {
  short: false,
  once: true,
  scenarios: [scenario('move-10', 10), scenario('move-10k', 10_000), scenario('move-100k', 100_000)],
};

function scenario(name: string, hosts: number): Scenario {
  const routes: RouteSet = { ...routeSet(hosts), name, backends: 2, moved: movedHost };
  return {
    name,
    title: `one of ${hosts.toLocaleString('en')} hosts with two backends each moves to another backend`,
    proxies: proxyNames.filter((proxy) => proxy !== 'npm'),
    run: (context, proxy) => move(context, proxy, routes),
  };
}

async function move({ site, fleet, seconds, short }: Context, name: ProxyName, routes: RouteSet): Promise<Sample> {
  const proxy = await fleet.proxy(name, routes);
  const quiet = await phase(site, proxy, { isQuiet: true, changes: 1000, secondsMax: seconds });
  const moved = await phase(site, proxy, { isQuiet: false, changes: short ? fewerChanges : changes, secondsMax });
  await fleet.retire(routes);
  const { failed, ...figures } = moved.figures;
  const lost = moved.load.failed + failed;
  const ownCpu = moved.cpuSeconds - (quiet.cpuSeconds / quiet.wallSeconds) * moved.wallSeconds;
  return {
    ...figures,
    ...moved.sample,
    cpuMsPerChange: Math.max(0, (ownCpu / figures.changes) * 1000),
    requests: moved.load.requests,
    p50Us: moved.load.p50Us,
    p99Us: moved.load.p99Us,
    ratePerSecond,
    lost,
    // Of the others it is a figure like any other.
    ...(checkoutNames.includes(name) ? { failed: lost + figures.unserved } : {}),
  };
}

interface Phase {
  readonly figures: RouteMoverResult;
  readonly load: LoadResult;
  /** Of the proxy, from before the first change to after the last, and how long that took. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** What the proxy has after the changes, with the tunnels open, and its peak. */
  readonly sample: Sample;
}

let started = 0;

/** A load, tunnels, and the changes. */
async function phase(
  site: Site,
  proxy: RunningProxy,
  particular: Pick<RouteMoverSettings, 'isQuiet' | 'changes' | 'secondsMax'>,
): Promise<Phase> {
  const { pid, port, routes } = proxy;
  const number = ++started;
  if (proxy.move === null) throw new Error(`${proxy.name} has no way to move a host`);
  const settings: RouteMoverSettings = {
    ...{ move: proxy.move, pid, port, host: movedHost, tunnelHost: site.echoHost, tunnels, ...particular },
  };
  const hosts = routes.hosts.slice(0, requestedHosts);
  const seconds = particular.secondsMax + marginSeconds;
  const load = await startOpenLoop(site, `moves-load-${number}`, {
    ...{ path: '/', connections, hosts, port, ratePerSecond, warmUpSeconds, seconds, seed: 5 },
  });
  const command = [process.execPath, program, JSON.stringify(settings)];
  const mover = site.processes.start(`mover-${number}`, command, { core: site.loadCore });
  await lineOf('ready', marginSeconds);
  const startMs = performance.now();
  const startCpu = cpuSecondsWithEnded(pid);
  const endPeak = watchPeak(pid, peakEveryMs);
  const figures: RouteMoverResult = JSON.parse(await lineOf('servedP50Ms', seconds));
  const cpuSeconds = cpuSecondsWithEnded(pid) - startCpu;
  const wallSeconds = (performance.now() - startMs) / 1000;
  const sample: Sample = {
    peakRssMib: endPeak() / MiB,
    rssMib: memory(pid).residentBytes / MiB,
    pssMib: proportionalBytes(pid) / MiB,
    processes: processTree(pid).length,
  };
  const loaded = await load.end();
  await mover.stop();
  return { figures, load: loaded, cpuSeconds, wallSeconds, sample };

  async function lineOf(word: string, secondsAtMost: number): Promise<string> {
    for (const endMs = performance.now() + secondsAtMost * 1000; performance.now() < endMs; await delay(20)) {
      const line = mover
        .output()
        .split('\n')
        .slice(0, -1)
        .find((one) => one.includes(`"${word}"`));
      if (line !== undefined) return line;
      if (mover.exitCode !== null) break;
    }
    throw new Error(`${mover.name} did not come to "${word}":\n${mover.output()}`);
  }
}

const program = fileURLToPath(import.meta.resolve('../programs/route-mover.ts'));
