import { responses } from '../backends.ts';
import { requestFields, responseFieldCount } from '../fields.ts';
import { countFields } from '../load/count-fields.ts';
import { requestEachHost } from '../load/each-host.ts';
import { type WrkLoad, wrk } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import { checkoutNames, mainProxies, type ProxyName, proxyNames } from '../proxies/proxy.ts';
import { type RouteSet, routeSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import { median } from '../statistics.ts';
import type { Context, Group, Scenario } from './scenario.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Routes of every scenario that is not about many. */
export const fewRoutes = routeSet(10);
const manyRoutes = routeSet(100_000);
const manyInRedis: RouteSet = { ...manyRoutes, name: 'hosts-100k-redis', store: 'redis' };
const oneHost = fewRoutes.hosts.slice(0, 1);

/** The load of the scenario `small`. */
export const smallLoad = { path: responses.small.path, connections: 64, hosts: oneHost } as const;

/** How much longer the load before its first measurement takes: what compiles itself while it runs gets time to. */
export const firstWarmUp = 4;

/** Processes of proxies that have been warmed up once, and those that have been asked for every host. */
const warm = new Set<number>();
const primed = new Set<number>();

/** Scenarios of a load as hard as it can. */
export const throughputGroups: readonly Group[] = [
  {
    short: true,
    scenarios: [scenario('small', '40 bytes, 64 connections kept', fewRoutes, {}, proxyNames)],
  },
  {
    short: true,
    scenarios: [
      scenario('headers', '40 bytes, 100 header fields in, 20 out', fewRoutes, {
        path: responses.headers.path,
        fields: requestFields,
        responseFieldsMin: responseFieldCount,
      }),
    ],
  },
  {
    short: true,
    scenarios: [
      scenario(
        'body-64k',
        'responses of 64 KiB',
        fewRoutes,
        { ...download(responses.body64k), connections: 32 },
        proxyNames,
      ),
      scenario('upload-64k', 'requests of 64 KiB', fewRoutes, { ...upload(64 * KiB), connections: 32 }, proxyNames),
    ],
  },
  {
    short: false,
    scenarios: [
      scenario('body-10m', 'responses of 10 MiB', fewRoutes, { ...download(responses.body10m), connections: 8 }),
      scenario('upload-10m', 'requests of 10 MiB', fewRoutes, { ...upload(10 * MiB), connections: 8 }),
    ],
  },
  {
    short: true,
    scenarios: [
      scenario('connections', 'a new connection per request', fewRoutes, { newConnections: true }, proxyNames),
    ],
  },
  {
    short: true,
    scenarios: [scenario('tls', '40 bytes, 64 connections kept, TLS 1.3', fewRoutes, { tls: true })],
  },
  {
    short: false,
    routes: [manyRoutes],
    scenarios: [
      scenario('hosts-10', '40 bytes, over 10 hosts', fewRoutes, { hosts: fewRoutes.hosts }),
      scenario('hosts-100k', '40 bytes, over 100,000 hosts', manyRoutes, { hosts: manyRoutes.hosts }),
    ],
  },
  {
    short: false,
    routes: [manyInRedis],
    scenarios: [
      scenario(
        'hosts-redis',
        '40 bytes, over 100,000 hosts in Redis',
        manyInRedis,
        { hosts: manyRoutes.hosts },
        checkoutNames,
      ),
    ],
  },
];

interface Particular extends Partial<Omit<WrkLoad, 'port' | 'seconds'>> {
  /** Of the body, either way, where it is what the scenario is about. */
  readonly payloadBytes?: number;
  /** A response that comes with fewer is an error. */
  readonly responseFieldsMin?: number;
}

function scenario(
  name: string,
  title: string,
  routes: RouteSet,
  particular: Particular,
  proxies: readonly ProxyName[] = mainProxies,
): Scenario {
  const { payloadBytes, responseFieldsMin = 0, ...rest } = particular;
  const load: Omit<WrkLoad, 'port' | 'seconds'> = { ...smallLoad, ...rest };
  return {
    name,
    title,
    proxies,
    async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, routes);
      const port = load.tls ? proxy.tlsPort : proxy.port;
      if (responseFieldsMin > 0) await expectFields();
      if (proxy.store !== null && load.hosts.length === routes.hosts.length) await prime();
      await wrk(site, { ...load, port, seconds: warmUpSeconds * (warm.has(proxy.pid) ? 1 : firstWarmUp) });
      warm.add(proxy.pid);
      const sample = await measure(site, proxy, () => wrk(site, { ...load, port, seconds }));
      if (payloadBytes === undefined) return sample;
      return { ...sample, mibPerCpuSecond: payloadBytes / MiB / ((sample.cpuUsPerRequest ?? Number.NaN) / 1e6) };

      async function expectFields(): Promise<void> {
        const count = await countFields({ ...load, port });
        if (count < responseFieldsMin)
          throw new Error(`the response has ${count} fields in place of ${responseFieldsMin}`);
      }

      /** Requests every host at least once: the others have read all their routes at the start. */
      async function prime(): Promise<void> {
        if (primed.has(proxy.pid)) return;
        await requestEachHost(site, { ...load, port });
        primed.add(proxy.pid);
      }
    },
  };
}

function download({ path, bytes }: { path: string; bytes: number }): Particular {
  return { path, payloadBytes: bytes };
}

function upload(bytes: number): Particular {
  return { path: responses.upload.path, bodyBytes: bytes, payloadBytes: bytes };
}

const peaks = new Map<string, number>();

/** Requests per second that a proxy serves at most: the median of the scenario `small`, else measured once. */
export async function peakRate(context: Context, proxyName: (typeof context.proxies)[number]): Promise<number> {
  const known = context.samples('small', proxyName).map(({ requestsPerSecond = 0 }) => requestsPerSecond);
  if (known.length > 0) return median(known);
  const measured = peaks.get(proxyName);
  if (measured !== undefined) return measured;
  const { port } = await context.fleet.proxy(proxyName, fewRoutes);
  await wrk(context.site, { ...smallLoad, port, seconds: 2 });
  const { requests, seconds } = await wrk(context.site, { ...smallLoad, port, seconds: 3 });
  peaks.set(proxyName, requests / seconds);
  return requests / seconds;
}
