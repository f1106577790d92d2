import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import { runProgram, startProgram } from '../program.ts';
import type { CertificateCacheReport } from '../programs/certificate-cache.ts';
import type { HandshakeLoopSettings } from '../programs/handshake-loop.ts';
import { hipache } from '../proxies/hipache.ts';
import { checkoutNames, type ProxyName, type RunningProxy, startProxy } from '../proxies/proxy.ts';
import { type RouteSet, routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import { median } from '../statistics.ts';
import { filledStore } from '../stores/filled-store.ts';
import { handshakes } from './handshakes.ts';
import type { Context, Group, Scenario } from './scenario.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
/** More than the default limit keeps. */
const cachedCount = 10_000;
const defaultBytesMax = 64 * MiB;
const readyCount = 6000;
/** What a measurement of memory may take, in seconds. */
const cacheSeconds = 120;
/** Starts of one measurement, the median of which counts. */
const startsPerSample = 3;
/** How often the first handshake is tried, in ms, and for how long. */
const againMs = 2;
const startMsMax = 60_000;
const knownPerSecond = 100;
const floodPerSecond = 200;
const warmUpOfKnown = 2;

/** Hosts that each have a certificate of their own. */
const thousand: RouteSet = { ...routeSet(1000), name: 'certificates-1k', certificates: true };
const known: RouteSet = { ...routeSet(100), name: 'certificates-known', certificates: true };
let started = 0;

/** What certificates in the cache take, without a proxy. */
export const certificateMemoryGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'certificates-memory',
      title: 'RSS per certificate by name that is kept, the default limit, 10,000 of them used twice',
      proxies: checkoutNames,
      run: (context, name) => cached(context, name, cachedCount, defaultBytesMax),
    },
    {
      name: 'certificates-ready',
      title: '6,000 certificates by name that are all kept and ready for a handshake',
      proxies: checkoutNames,
      run: (context, name) => cached(context, name, readyCount, 1024 * readyCount * KiB),
    },
  ],
};

/** A certificate for each of many hosts. Each measurement of a start has programs of its own. */
export const certificatesGroup: Group = {
  short: false,
  routes: [thousand, known],
  scenarios: [
    start('redis', 10),
    start('redis', 100_000),
    start('sqlite', 10),
    start('sqlite', 100_000),
    shaking('certificates-new', 'a TLS handshake and a connection per request, 1,000 certificates at random', false),
    shaking('certificates-resumed', 'the same, the session resumed', true),
    {
      name: 'names-alone',
      title: `handshakes of 100 known names at ${knownPerSecond}/s alone`,
      proxies: checkoutNames,
      run: (context, name) => beside(context, name, false),
    },
    {
      name: 'names-beside',
      title: `the same beside ${floodPerSecond} random names a second`,
      proxies: checkoutNames,
      run: (context, name) => beside(context, name, true),
    },
  ],
};

async function cached({ site }: Context, name: ProxyName, count: number, bytesMax: number): Promise<Sample> {
  const settings = { root: site.roots[name], count, bytesMax };
  const report = await runProgram<CertificateCacheReport>(site, 'certificate-cache', settings, cacheSeconds);
  return {
    rssKibPerCertificate: report.bytes / report.kept / KiB,
    estimatedKibPerCertificate: report.estimatedBytes / report.kept / KiB,
    certificates: report.kept,
    certificatesReady: report.ready,
  };
}

function start(store: 'redis' | 'sqlite', count: number): Scenario {
  const of = count.toLocaleString('en');
  const label = count < 1000 ? String(count) : `${count / 1000}k`;
  const routes: RouteSet = {
    ...routeSet(count),
    name: `certificates-start-${label}-${store}`,
    certificates: true,
    store,
  };
  return {
    name: routes.name,
    title: `from the start of the program to its first handshake, ${of} certificates in ${store}`,
    proxies: checkoutNames,
    async run({ site }, name) {
      await filledStore(site, name, routes);
      const times: number[] = [];
      while (times.length < startsPerSample) times.push(await firstHandshakeMs(site, name, routes));
      return { firstHandshakeMs: median(times), certificates: count };
    },
  };
}

async function firstHandshakeMs(site: Site, name: ProxyName, routes: RouteSet): Promise<number> {
  const beginMs = performance.now();
  const proxy = await startProxy(site, name, routes, hipache);
  try {
    const host = routes.hosts[Math.floor(routes.hosts.length / 2)] ?? '';
    while (!(await isServed(proxy, host))) {
      if (performance.now() - beginMs > startMsMax) throw new Error(`${host} has no certificate`);
      await delay(againMs);
    }
    return performance.now() - beginMs;
  } finally {
    await proxy.stop();
  }
}

/** Whether a handshake gets the certificate of the host. */
function isServed({ tlsPort: port }: RunningProxy, servername: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
  socket.once('error', () => resolve(false));
  socket.once('secureConnect', () => {
    resolve(socket.getPeerCertificate().subject?.CN === servername);
    socket.destroy();
  });
  return promise;
}

function shaking(name: string, title: string, resume: boolean): Scenario {
  return {
    name,
    title,
    proxies: [...checkoutNames, 'haproxy'],
    async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, thousand);
      const sessionsFile = join(site.directory, `sessions-${proxyName}-${proxy.pid}.json`);
      const settings = { port: proxy.tlsPort, hosts: thousand.hosts, path: '/', connections: 16, resume, sessionsFile };
      // Before, each certificate is used, and each host gives a session.
      await handshakes(site, { ...settings, resume: true, seconds: warmUpSeconds });
      return measure(site, proxy, () => handshakes(site, { ...settings, seconds }));
    },
  };
}

async function beside({ site, fleet, seconds }: Context, name: ProxyName, isBesideFlood: boolean): Promise<Sample> {
  const proxy = await fleet.proxy(name, known);
  // Alone means: the same flood goes to a backend. It takes the same from the load's core.
  const port = isBesideFlood ? proxy.tlsPort : site.backendPorts[1];
  const flood = startProgram(site, 'hello-flood', `hello-flood-${++started}`, {
    ...{ port, domain: '.bench.example', ratePerSecond: floodPerSecond },
  });
  const settings: HandshakeLoopSettings = {
    ...{ port: proxy.tlsPort, hosts: known.hosts, ratePerSecond: knownPerSecond },
    ...{ warmUpSeconds: warmUpOfKnown, seconds },
  };
  try {
    return await measure(site, proxy, () => handshakeLoop(site, settings));
  } finally {
    await flood.stop();
  }
}

async function handshakeLoop(site: Site, settings: HandshakeLoopSettings): Promise<LoadResult> {
  const program = fileURLToPath(import.meta.resolve('../programs/handshake-loop.ts'));
  const msMax = (settings.warmUpSeconds + settings.seconds) * 1000 + 30_000;
  const options = { core: site.loadCore, idle: true };
  const command = [process.execPath, program, JSON.stringify(settings)];
  return JSON.parse(await site.processes.run('handshake-loop', command, options, msMax));
}
