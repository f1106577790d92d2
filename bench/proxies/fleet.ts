import type { RouteSet } from '../routes.ts';
import type { Site } from '../site.ts';
import { caddy } from './caddy.ts';
import { haproxy } from './haproxy.ts';
import { hipache } from './hipache.ts';
import { nginx } from './nginx.ts';
import { npm } from './npm.ts';
import { type ProxyName, type RunningProxy, startProxy } from './proxy.ts';

const launches = { hipache, against: hipache, nginx, haproxy, caddy, npm };

/** The proxies of a run, one for each name and route set, started when first asked for. */
export class Fleet {
  private readonly site: Site;
  private readonly started = new Map<string, Promise<RunningProxy>>();

  constructor(site: Site) {
    this.site = site;
  }

  proxy(name: ProxyName, routes: RouteSet): Promise<RunningProxy> {
    const key = `${name} ${routes.name}`;
    const known = this.started.get(key);
    if (known !== undefined) return known;
    const started = startProxy(this.site, name, routes, launches[name]);
    this.started.set(key, started);
    return started;
  }

  /** What the proxies say that ended by themselves. */
  async problems(): Promise<readonly string[]> {
    const settled = await Promise.allSettled(this.started.values());
    const proxies = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    return proxies.map((proxy) => proxy.problem()).filter((problem) => problem !== null);
  }

  /** Ends the proxies with these routes: an idle one takes memory, and a little of the core. */
  retire(routes: RouteSet): Promise<void> {
    return this.end((key) => key.endsWith(` ${routes.name}`));
  }

  /** Ends the proxies with these names: the next measurement starts them anew. */
  retireNamed(names: readonly ProxyName[]): Promise<void> {
    return this.end((key) => names.some((name) => key.startsWith(`${name} `)));
  }

  private async end(isMeant: (key: string) => boolean): Promise<void> {
    for (const [key, started] of this.started) {
      if (!isMeant(key)) continue;
      this.started.delete(key);
      await (await started).stop();
    }
  }
}
