import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/stores/open-store.ts';
import { openLoop } from '../load/open-loop.ts';
import { wrk } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import { freePorts } from '../ports.ts';
import type { Running } from '../processes.ts';
import { runProgram, startProgram } from '../program.ts';
import type { SleeperReport, SleeperSettings } from '../programs/sleeper.ts';
import { checkoutNames, type ProxyName } from '../proxies/proxy.ts';
import { type RouteSet, routeSet, shopName } from '../routes.ts';
import type { Sample } from '../sample.ts';
import { memory } from '../usage.ts';
import type { Context, Group } from './scenario.ts';
import { firstWarmUp, smallLoad } from './throughput.ts';

const KiB = 1024;
const [optionsHost, quietHost, floodHost, sleepingHost] = [shopName(0), shopName(1), shopName(2), shopName(3)];
/** Of the flooding host, in requests per second. */
const floodLimit = 200;
const floodFactor = 20;
const quietPerSecond = 1000;
const waitingRequests = 10_000;
const wakes = 20;
const settleMs = 3000;
const reportMsMax = 120_000;

/** A host with everything that is done for each request, and the same route with nothing. */
const withOptions: RouteSet = {
  ...routeSet(3),
  name: 'options',
  paths: { [`${optionsHost}/api`]: 0 },
  options: {
    [optionsHost]: {
      paths: '/api',
      sticky: 'on',
      requestFields: 'X-Tenant: 7',
      responseFields: 'X-Served-By: hipache\nX-Powered-By:',
      rate: '1000000/s',
    },
    [`${optionsHost}/api`]: { stripPath: 'on' },
    [floodHost]: { rate: `${floodLimit}/s`, rateBy: 'host' },
  },
};
/** Of proxies that have done nothing else. */
const sleeping: RouteSet = {
  ...routeSet(1),
  name: 'sleeping',
  options: { [sleepingHost]: { hold: '5m', holdMax: '100000', holdBytesMax: '1g' } },
};

const warm = new Set<number>();
let started = 0;

/** Options of a host: their cost, and what they do to others. */
export const hostOptionsGroup: Group = {
  short: false,
  routes: [withOptions],
  scenarios: [
    {
      name: 'options-none',
      title: '40 bytes, 64 connections kept, no options on the host',
      proxies: checkoutNames,
      run: (context, proxyName) => loaded(context, proxyName, quietHost, '/'),
    },
    {
      name: 'options-all',
      title: 'the same with sticky, field edits, a rate and a stripped path prefix',
      proxies: checkoutNames,
      run: (context, proxyName) => loaded(context, proxyName, optionsHost, '/api/'),
    },
    {
      name: 'quiet-alone',
      title: `40 bytes, a host at ${quietPerSecond.toLocaleString('en')}/s alone`,
      proxies: checkoutNames,
      run: (context, proxyName) => quiet(context, proxyName, false),
    },
    {
      name: 'quiet-beside',
      title: `the same while another host gets ${floodFactor} times its limit of ${floodLimit}/s`,
      proxies: checkoutNames,
      run: (context, proxyName) => quiet(context, proxyName, true),
    },
  ],
};

/** Requests that wait for a backend. Each round has proxies of its own. */
export const sleepGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'held',
      title: `${waitingRequests.toLocaleString('en')} requests that wait for a backend`,
      proxies: checkoutNames,
      run: held,
    },
    {
      name: 'wake',
      title: `from "the backend listens" to the first response that has waited, ${wakes} times`,
      proxies: checkoutNames,
      run: wake,
    },
  ],
};

async function loaded(
  { site, fleet, seconds, warmUpSeconds }: Context,
  proxyName: ProxyName,
  host: string,
  path: string,
): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, withOptions);
  const load = { ...smallLoad, hosts: [host], path, port: proxy.port };
  await wrk(site, { ...load, seconds: warmUpSeconds * (warm.has(proxy.pid) ? 1 : firstWarmUp) });
  warm.add(proxy.pid);
  return measure(site, proxy, () => wrk(site, { ...load, seconds }));
}

async function quiet({ site, fleet, seconds }: Context, proxyName: ProxyName, isBesideFlood: boolean): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, withOptions);
  // Alone means: the same flood goes to the backends. It takes the same from the load's core.
  const port = isBesideFlood ? proxy.port : site.backendPorts[1];
  const flood = startProgram(site, 'flood', `flood-${++started}`, {
    ...{ host: floodHost, port, ratePerSecond: floodLimit * floodFactor, connections: 32 },
  });
  const settings = {
    ...{ hosts: [quietHost], path: '/', port: proxy.port, ratePerSecond: quietPerSecond, connections: 16, seed: 1 },
    ...{ warmUpSeconds: 2, seconds },
  };
  try {
    return await measure(site, proxy, () => openLoop(site, settings));
  } finally {
    await flood.stop();
  }
}

async function held({ site, fleet }: Context, proxyName: ProxyName): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, sleeping);
  await delay(settleMs);
  const before = memory(proxy.pid).residentBytes;
  const port = await sleepingBackend(proxy.store);
  const settings: SleeperSettings = {
    mode: 'hold',
    host: sleepingHost,
    proxyPort: proxy.port,
    backendPort: port,
    requests: waitingRequests,
  };
  const running = startProgram(site, 'sleeper', `sleeper-${++started}`, settings);
  const report = await reportOf(running, 'waiting');
  await delay(settleMs);
  const waiting = memory(proxy.pid).residentBytes;
  process.kill(running.pid, 'SIGUSR2');
  const { served } = await reportOf(running, 'done');
  await running.stop();
  await fleet.retire(sleeping);
  return {
    rssKibPerWaiting: (waiting - before) / waitingRequests / KiB,
    requests: report.requests,
    failed: report.requests - served,
  };
}

async function wake({ site, fleet }: Context, proxyName: ProxyName): Promise<Sample> {
  const proxy = await fleet.proxy(proxyName, sleeping);
  const backendPort = await sleepingBackend(proxy.store);
  const settings: SleeperSettings = {
    mode: 'wake',
    host: sleepingHost,
    proxyPort: proxy.port,
    backendPort,
    requests: wakes,
  };
  const { p50Ms, maxMs, served } = await runProgram<SleeperReport>(site, 'sleeper', settings, wakes * 2);
  await fleet.retire(sleeping);
  return { wakeP50Ms: p50Ms, wakeMaxMs: maxMs, requests: wakes, failed: wakes - served };
}

/** Gives the host that sleeps a backend where nothing listens. @returns its port. */
async function sleepingBackend(url: string | null): Promise<number> {
  const [port = 0] = await freePorts(1);
  const store = await openStore(url ?? '');
  try {
    await store.routes.set(sleepingHost, null, [`http://127.0.0.1:${port}`]);
  } finally {
    await store.close();
  }
  return port;
}

/** The last report of this kind, once there is one. */
async function reportOf(running: Running, event: SleeperReport['event']): Promise<SleeperReport> {
  for (const endMs = performance.now() + reportMsMax; performance.now() < endMs; await delay(50)) {
    const lines = running
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const report = lines.map((line): SleeperReport => JSON.parse(line)).findLast((one) => one.event === event);
    if (report !== undefined) return report;
    if (running.exitCode !== null && running.exitCode !== 0) break;
  }
  throw new Error(`${running.name} did not come to "${event}":\n${running.output()}`);
}
