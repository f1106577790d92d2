import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import type { Running } from '../processes.ts';
import type { TunnelsReport, TunnelsSettings } from '../programs/tunnels.ts';
import { mainProxies, type ProxyName } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { memory } from '../usage.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

const KiB = 1024;
const messageBytes = 64;
const idleTunnels = 9000;
/** Through each of them at once: messages, and what each has. */
const burst = 16;
const burstBytes = 1 * KiB;
const marginMs = 120_000;
/** After what was done last, until memory is looked at: what is given back with delay is given back by then. */
const settleMs = 3000;
const program = fileURLToPath(import.meta.resolve('../programs/tunnels.ts'));
let started = 0;
/** Of proxies that have done nothing else. */
const idleRoutes = { ...routeSet(10), name: 'tunnels' };

/** What a message through a WebSocket costs. Each of 64 tunnels has one under way. */
export const echoGroup: Group = {
  short: true,
  scenarios: [
    {
      name: 'echo',
      title: `WebSocket messages of ${messageBytes} bytes and back, 64 tunnels`,
      proxies: mainProxies,
      async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
        const proxy = await fleet.proxy(proxyName, fewRoutes);
        const settings = settingsOf(site, proxy.port, 'echo');
        await echo(site, { ...settings, seconds: warmUpSeconds });
        return measure(site, proxy, () => echo(site, { ...settings, seconds }));
      },
    },
  ],
};

/** What an open tunnel takes. Each round has proxies of its own. */
export const idleTunnelsGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'tunnels',
      title: `${idleTunnels.toLocaleString('en')} idle WebSockets, then ${burst} messages of ${burstBytes / KiB} KiB and back through each at once`,
      proxies: mainProxies,
      run: idle,
    },
  ],
};

async function idle({ site, fleet }: Context, proxyName: ProxyName): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, idleRoutes);
  await delay(settleMs);
  const before = memory(proxy.pid).residentBytes;
  const settings = settingsOf(site, proxy.port, 'hold');
  const command = [process.execPath, program, JSON.stringify(settings)];
  const running = site.processes.start(`tunnels-${proxyName}-${++started}`, command, { core: site.loadCore });
  await reportOf(running, 'open');
  await delay(settleMs);
  const opened = memory(proxy.pid).residentBytes;
  process.kill(running.pid, 'SIGUSR2');
  const { messages } = await reportOf(running, 'burst');
  await delay(settleMs);
  const used = memory(proxy.pid).residentBytes;
  await running.stop();
  const { closed } = await reportOf(running, 'done');
  await fleet.retire(idleRoutes);
  return {
    rssKibPerTunnel: (opened - before) / idleTunnels / KiB,
    rssKibPerUsedTunnel: (used - before) / idleTunnels / KiB,
    tunnels: idleTunnels,
    requests: messages,
    closed,
    failed: idleTunnels * burst - messages,
  };
}

/** The last report of this kind, once there is one. */
async function reportOf(running: Running, event: TunnelsReport['event']): Promise<TunnelsReport> {
  for (const endMs = performance.now() + marginMs; performance.now() < endMs; await delay(50)) {
    const reports = running
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line): TunnelsReport => JSON.parse(line));
    const report = reports.findLast((one) => one.event === event);
    if (report !== undefined) return report;
    if (running.exitCode !== null && running.exitCode !== 0) break;
  }
  throw new Error(`${running.name} did not come to "${event}":\n${running.output()}`);
}

async function echo(site: Site, settings: TunnelsSettings): Promise<LoadResult> {
  const command = [process.execPath, program, JSON.stringify(settings)];
  const output = await site.processes.run(
    'tunnels',
    command,
    { core: site.loadCore },
    settings.seconds * 1000 + marginMs,
  );
  const { messages, seconds, closed }: TunnelsReport = JSON.parse(output.trim().split('\n').at(-1) ?? '{}');
  const latency = (settings.connections / messages) * seconds * 1e6;
  return { requests: messages, seconds, failed: closed, p50Us: latency, p99Us: latency, p999Us: latency };
}

function settingsOf(site: Site, port: number, mode: TunnelsSettings['mode']): TunnelsSettings {
  const common = { port, host: site.echoHost, mode, burst, seconds: 0 };
  return mode === 'echo'
    ? { ...common, connections: 64, bytes: messageBytes }
    : { ...common, connections: idleTunnels, bytes: burstBytes };
}
