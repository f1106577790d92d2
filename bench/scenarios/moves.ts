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
import { firstWarmUp } from './throughput.ts';

const MiB = 1024 * 1024;
const movedHost = 'moved.bench.example';
/** Changes of one measurement, and when the last of them begins at the latest, in seconds. */
const changes = 20;
const fewerChanges = 5;
const secondsMax = 60;
/** Without changes the time sets an end, not their number. */
const quietChangesMax = 10_000;
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
 * there three times: without changes, with them and without them, for what it takes by itself. Each measurement has proxies of its own.
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

async function move(context: Context, name: ProxyName, routes: RouteSet): Promise<Sample> {
  const { site, fleet, seconds, warmUpSeconds: unitSeconds, short } = context;
  const proxy = await fleet.proxy(name, routes);
  const quiet = { isQuiet: true, changes: quietChangesMax, secondsMax: seconds };
  // For what compiles itself while it runs, and at the same rate: a harder load would leave more memory behind.
  await phase(site, proxy, { ...quiet, secondsMax: unitSeconds * firstWarmUp });
  const before = await phase(site, proxy, quiet);
  const moved = await phase(site, proxy, { isQuiet: false, changes: short ? fewerChanges : changes, secondsMax });
  const after = await phase(site, proxy, quiet);
  await fleet.retire(routes);
  const { failed, changes: done, unserved, tunnels: held, closed, ...times } = moved.figures;
  const lost = moved.load.failed + failed;
  const quietShare = (before.cpuSeconds + after.cpuSeconds) / (before.wallSeconds + after.wallSeconds);
  const changesCpu = moved.cpuSeconds - quietShare * moved.wallSeconds;
  return {
    // Below 0 where the load happened to take less with the changes: that is then the noise.
    ...(done === 0 ? {} : { ...times, cpuUsPerChange: (changesCpu / done) * 1e6 }),
    ...moved.sample,
    ...{ changes: done, unserved, tunnels: held, closed },
    requests: moved.load.requests,
    p50Us: moved.load.p50Us,
    p99Us: moved.load.p99Us,
    ratePerSecond,
    lost,
    // Of the others it is a figure like any other.
    ...(checkoutNames.includes(name) ? { failed: lost + unserved } : {}),
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
  const command = [process.execPath, program, JSON.stringify(settings)];
  const mover = site.processes.start(`mover-${number}`, command, { core: site.loadCore });
  await lineOf('ready', marginSeconds);
  // After the mover: the start of a program takes the core from a load that runs when nothing else does.
  const load = await startOpenLoop(site, `moves-load-${number}`, {
    ...{ path: '/', connections, hosts, port, ratePerSecond, warmUpSeconds, seconds, seed: 5 },
  });
  const startMs = performance.now();
  const startCpu = cpuSecondsWithEnded(pid);
  const endPeak = watchPeak(pid, peakEveryMs);
  process.kill(mover.pid, 'SIGUSR2');
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
