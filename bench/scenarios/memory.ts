import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../src/stores/open-store.ts';
import { freePorts, untilListening } from '../ports.ts';
import type { StreamClientResult, StreamClientSettings } from '../programs/stream-client.ts';
import { workersOf } from '../proxies/hipache.ts';
import { checkoutNames } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { cpuSeconds, memory, resetPeak } from '../usage.ts';
import type { Context, Group, Scenario } from './scenario.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
/** At the slowest, for the time limit. */
const bytesPerSecondMin = 30 * MiB;
const host = 'stream.bench.example';
/** Of a proxy that has done nothing else. */
const routes = { ...routeSet(1), name: 'stream' };

let backendPort: Promise<number> | null = null;

/** The memory that a worker has while a long body is on its way through. */
export const memoryGroup: Group = {
  short: false,
  once: true,
  routes: [routes],
  scenarios: (['download', 'upload'] as const).flatMap((direction) =>
    [false, true].map((chunked) => scenario(direction, chunked)),
  ),
};

function scenario(direction: 'download' | 'upload', chunked: boolean): Scenario {
  const framing = chunked ? 'chunked' : 'length';
  return {
    name: `memory-${direction}-${framing}`,
    title: `10 GiB ${direction}, ${chunked ? 'chunked' : 'by length'} (1 GiB in the short form)`,
    proxies: checkoutNames,
    async run({ site, fleet, short }: Context, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, routes);
      backendPort ??= startBackend(site);
      await setRoute(proxy.store ?? '', await backendPort);
      const bytes = short ? GiB : 10 * GiB;
      // Bodies go through the worker; the primary beside it has nothing to do with them.
      const [worker = proxy.pid] = workersOf(proxy.pid);
      resetPeak(worker);
      const cpuBefore = cpuSeconds(proxy.pid);
      const result = await transfer(site, { port: proxy.port, host, direction, bytes, chunked });
      const { residentBytes, peakBytes } = memory(worker);
      return {
        peakRssMib: peakBytes / MiB,
        rssMib: residentBytes / MiB,
        mibPerCpuSecond: result.bytes / MiB / (cpuSeconds(proxy.pid) - cpuBefore),
        seconds: result.seconds,
        requests: 1,
        failed: result.bytes === bytes ? 0 : 1,
      };
    },
  };
}

async function startBackend(site: Site): Promise<number> {
  const [port = 0] = await freePorts(1);
  const program = fileURLToPath(import.meta.resolve('../programs/stream-backend.ts'));
  const running = site.processes.start('stream-backend', [process.execPath, program, String(port)], {
    core: site.loadCore,
  });
  await untilListening(running, port);
  return port;
}

async function setRoute(url: string, port: number): Promise<void> {
  const store = await openStore(url);
  await store.routes.set(host, null, [`http://127.0.0.1:${port}`]);
  await store.close();
  await delay(200);
}

async function transfer(site: Site, settings: StreamClientSettings): Promise<StreamClientResult> {
  const program = fileURLToPath(import.meta.resolve('../programs/stream-client.ts'));
  const command = [process.execPath, program, JSON.stringify(settings)];
  const msMax = (settings.bytes / bytesPerSecondMin) * 1000;
  return JSON.parse(await site.processes.run('stream-client', command, { core: site.loadCore }, msMax));
}
