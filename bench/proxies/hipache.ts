import { join } from 'node:path';
import { openStore } from '../../src/stores/open-store.ts';
import { startRedis } from '../redis.ts';
import type { RouteSet } from '../routes.ts';
import type { Site } from '../site.ts';
import { processTree } from '../usage.ts';
import { type Launch, type Plan, type ProxyName, portsOf, startProxy } from './proxy.ts';

/** Routes that are written at once: the store makes one transaction of them. */
const batch = 5000;

/** URLs by the label of the proxy: one that is started anew finds its routes in the same. */
const redis = new Map<string, Promise<string>>();

/** A checkout, as it is started everywhere: its `bin/hipache` with a configuration file, one worker. */
export async function hipache(site: Site, plan: Plan): Promise<Launch> {
  const store = plan.routes.store === 'redis' ? await redisOf(site, plan.label) : `sqlite:${plan.path('db')}`;
  return hipacheWith(site, plan, { store, workers: 1 });
}

function redisOf(site: Site, label: string): Promise<string> {
  const started = redis.get(label) ?? startRedis(site, label);
  redis.set(label, started);
  return started;
}

interface Particular {
  /** URL of the store, into which the routes are written. */
  readonly store: string;
  readonly workers: number;
  /** `limits` of the configuration. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Whether the routes are in the store already. */
  readonly isFilled?: boolean;
}

export async function hipacheWith(site: Site, plan: Plan, particular: Particular): Promise<Launch> {
  const root = site.roots[plan.name];
  if (root === undefined) throw new Error(`there is no checkout "${plan.name}"`);
  if (particular.isFilled !== true) await load(particular.store, plan.routes, site);
  const file = plan.write('json', JSON.stringify(configuration(site, plan, particular), null, 2));
  const [a, b] = tellingUrls(site);
  return {
    command: [join(root, 'bin', 'hipache'), '--config', file],
    store: particular.store,
    ...(plan.routes.moved === undefined ? {} : { move: { way: 'store', url: particular.store, backends: [a, b] } }),
    // As a service has it: what the environment of whoever runs the benchmark says is left out.
    env: {
      ...{ NODE_OPTIONS: '', NODE_COMPILE_CACHE: join(site.directory, 'compiled') },
      STATE_DIRECTORY: plan.path('state'),
    },
  };
}

/**
 * Starts a checkout once and ends it, for what it compiles to be kept: the first start loads a compiler, which takes
 * 25 to 45 MiB more of each process.
 */
export async function startFirst(site: Site, name: ProxyName): Promise<void> {
  const proxy = await startProxy(site, name, { name: 'first', hosts: [] }, hipache);
  // The port is open before the worker has loaded: only it can answer, be it that there is no such host.
  await (await fetch(`http://127.0.0.1:${proxy.port}/`)).arrayBuffer();
  await proxy.stop();
}

/** The workers of an instance: what the primary has started. */
export function workersOf(primary: number): number[] {
  return processTree(primary).filter((pid) => pid !== primary);
}

function configuration(site: Site, plan: Plan, { store, workers, limits }: Particular): unknown {
  const { certificate, key } = site.certificate;
  return {
    server: { accessLog: plan.path('log'), httpKeepAlive: true, workers, maxSockets: 256 },
    http: { port: plan.port, bind: ['127.0.0.1'] },
    https: { port: plan.tlsPort, bind: ['127.0.0.1'], key, cert: certificate },
    driver: store,
    ...(limits === undefined ? {} : { limits }),
    ...(process.getuid?.() === 0 ? { user: 'root' } : {}),
  };
}

function tellingUrls({ tellingPorts: [a, b] }: Site): readonly [string, string] {
  return [`http://127.0.0.1:${a}`, `http://127.0.0.1:${b}`];
}

async function load(url: string, routes: RouteSet, site: Site): Promise<void> {
  const { echoHost, echoPort } = site;
  const store = await openStore(url);
  try {
    await store.routes.set(echoHost, null, [`http://127.0.0.1:${echoPort}`]);
    if (routes.moved !== undefined) await store.routes.set(routes.moved, null, [tellingUrls(site)[0]]);
    for (let start = 0; start < routes.hosts.length; start += batch) {
      const hosts = routes.hosts.slice(start, start + batch);
      const backends = (i: number) => portsOf(site, routes, i).map((port) => `http://127.0.0.1:${port}`);
      await store.routes.put(hosts.map((pattern, i) => ({ pattern, frontend: [pattern, ...backends(start + i)] })));
    }
  } finally {
    await store.close();
  }
}
