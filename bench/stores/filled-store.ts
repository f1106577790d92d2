import type { Store } from '../../src/stores/contract.ts';
import { openStore } from '../../src/stores/open-store.ts';
import { HostAuthority } from '../host-certificates.ts';
import { type ProxyName, portsOf } from '../proxies/proxy.ts';
import type { RouteSet } from '../routes.ts';
import type { Site } from '../site.ts';
import { type RunningStore, startStore } from './start-store.ts';

/** Routes that are written at once: the store makes one transaction of them. */
const batch = 5000;
/** Certificates that are written at the same time. */
const certificatesBatch = 250;

/** By the proxy and the set. */
const filled = new Map<string, Promise<RunningStore>>();

/**
 * The store of a proxy with all routes of the set. It is filled when it is first asked for, which takes half a minute
 * with a million routes; a proxy that is started anew finds its routes in the same.
 */
export function filledStore(site: Site, proxy: ProxyName, routes: RouteSet): Promise<RunningStore> {
  const label = `${proxy}-${routes.name}`;
  const known = filled.get(label);
  if (known !== undefined) return known;
  const filling = startStore(site, routes.store ?? 'sqlite', label).then(async (store) => {
    await fill(store.url, routes, site);
    return store;
  });
  filled.set(label, filling);
  return filling;
}

/** Writes all routes of the set, that of its host that moves, and that of the host of WebSockets. */
export async function fill(url: string, routes: RouteSet, site: Site) {
  const { echoHost, echoPort } = site;
  const store = await openStore(url);
  try {
    await store.routes.set(echoHost, null, [`http://127.0.0.1:${echoPort}`]);
    if (routes.moved !== undefined) await store.routes.set(routes.moved, null, [tellingUrls(site)[0]]);
    for (const [pattern, number] of Object.entries(routes.paths ?? {})) {
      await store.routes.set(pattern, null, [`http://127.0.0.1:${site.backendPorts[number]}`]);
    }
    const options = Object.entries(routes.options ?? {});
    await store.options.put(options.map(([pattern, own]) => ({ pattern, options: new Map(Object.entries(own)) })));
    for (let start = 0; start < routes.hosts.length; start += batch) {
      const hosts = routes.hosts.slice(start, start + batch);
      const scheme = routes.grpc ? 'h2c' : 'http';
      const backends = (i: number) => portsOf(site, routes, i).map((port) => `${scheme}://127.0.0.1:${port}`);
      await store.routes.put(hosts.map((pattern, i) => ({ pattern, frontend: [pattern, ...backends(start + i)] })));
    }
    if (routes.certificates) await writeCertificates(store, routes.hosts);
  } finally {
    await store.close();
  }
}

async function writeCertificates({ certificates }: Pick<Store, 'certificates'>, hosts: readonly string[]) {
  const authority = new HostAuthority();
  for (let start = 0; start < hosts.length; start += certificatesBatch) {
    const some = hosts.slice(start, start + certificatesBatch);
    await Promise.all(some.map((host) => certificates.write(host, authority.issue(host))));
  }
}

/** URLs of the two backends that tell themselves apart. */
export function tellingUrls({ tellingPorts: [a, b] }: Site): readonly [string, string] {
  return [`http://127.0.0.1:${a}`, `http://127.0.0.1:${b}`];
}
