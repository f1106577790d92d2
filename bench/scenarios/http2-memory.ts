import { setTimeout as delay } from 'node:timers/promises';
import type { Running } from '../processes.ts';
import { startProgram } from '../program.ts';
import type { Http2IdleReport, Http2IdleSettings } from '../programs/http2-idle.ts';
import { mainProxies, type ProxyName } from '../proxies/proxy.ts';
import { routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import { memory } from '../usage.ts';
import type { Context, Group } from './scenario.ts';

const KiB = 1024;
const connections = 6000;
const tunnelConnections = 300;
const tunnelsOnEach = 20;
const tunnels = tunnelConnections * tunnelsOnEach;
const openMsMax = 120_000;
/** After what was done last, until memory is looked at: what is given back with delay is given back by then. */
const settleMs = 3000;
/** Of proxies that have done nothing else. */
const routes = { ...routeSet(10), name: 'http2-idle' };
let started = 0;

/** The memory that idle connections of HTTP/2 take, and WebSockets on them. */
export const http2MemoryGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'http2-idle',
      title: `${connections.toLocaleString('en')} idle connections of HTTP/2, then ${tunnels.toLocaleString('en')} WebSockets on ${tunnelConnections} of them`,
      // With nginx and HAProxy 2.6, WebSockets need HTTP/1.1.
      proxies: mainProxies,
      run: idle,
    },
  ],
};

async function idle({ site, fleet }: Context, proxyName: ProxyName): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, routes);
  await delay(settleMs);
  const before = memory(proxy.pid).residentBytes;
  const settings: Http2IdleSettings = {
    ...{ port: proxy.h2cPort, host: routes.hosts[0] ?? '', echoHost: site.echoHost, connections },
    ...{ tunnels: tunnelsOnEach, tunnelConnections },
  };
  const running = startProgram(site, 'http2-idle', `http2-idle-${proxyName}-${++started}`, settings);
  await until(running, 'connections');
  await delay(settleMs);
  const connected = memory(proxy.pid).residentBytes;
  const hasTunnels = proxyName !== 'nginx';
  if (hasTunnels) {
    process.kill(running.pid, 'SIGUSR2');
    await until(running, 'tunnels');
    await delay(settleMs);
  }
  const opened = memory(proxy.pid).residentBytes;
  await running.stop();
  await fleet.retire(routes);
  return {
    rssKibPerConnection: (connected - before) / connections / KiB,
    ...(hasTunnels ? { rssKibPerTunnel: (opened - connected) / tunnels / KiB, tunnels } : {}),
    requests: connections,
    failed: 0,
  };
}

async function until(running: Running, event: Http2IdleReport['event']): Promise<void> {
  for (const endMs = performance.now() + openMsMax; performance.now() < endMs; await delay(50)) {
    if (running.output().includes(`"${event}"`)) return;
    if (running.exitCode !== null) break;
  }
  throw new Error(`${running.name} did not come to "${event}":\n${running.output()}`);
}
