import { join } from 'node:path';
import type { Site } from '../site.ts';
import { filledStore, tellingUrls } from '../stores/filled-store.ts';
import { processTree } from '../usage.ts';
import { type Launch, type Plan, type ProxyName, startProxy } from './proxy.ts';

/** A checkout, as it is started everywhere: its `bin/hipache` with a configuration file, one worker. */
export async function hipache(site: Site, plan: Plan): Promise<Launch> {
  const { url } = await filledStore(site, plan.name, plan.routes);
  const { cacheEntriesMax } = plan.routes;
  const more = cacheEntriesMax === undefined ? {} : { limits: { cacheEntriesMax } };
  return hipacheWith(site, plan, { store: url, workers: 1, ...more });
}

interface Particular {
  /** URL of the store, which has the routes. */
  readonly store: string;
  readonly workers: number;
  /** `limits` of the configuration. */
  readonly limits?: Readonly<Record<string, number>>;
}

export function hipacheWith(site: Site, plan: Plan, particular: Particular): Launch {
  const root = site.roots[plan.name];
  if (root === undefined) throw new Error(`there is no checkout "${plan.name}"`);
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
      RUNTIME_DIRECTORY: plan.path('run'),
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
    http: {
      bind: [
        { address: '127.0.0.1', port: plan.port },
        { address: '127.0.0.1', port: plan.h2cPort, h2c: true },
      ],
    },
    https: { port: plan.tlsPort, bind: ['127.0.0.1'], key, cert: certificate },
    driver: store,
    ...(limits === undefined ? {} : { limits }),
    ...(process.getuid?.() === 0 ? { user: 'root' } : {}),
  };
}
