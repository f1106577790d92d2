import type { Site } from '../site.ts';
import { hipacheWith } from './hipache.ts';
import { type ProxyName, type RunningProxy, startProxy } from './proxy.ts';

let started = 0;

/** Starts one of several instances on a store that has its routes. @param store its URL. */
export function startInstance(site: Site, name: ProxyName, store: string, workers: number): Promise<RunningProxy> {
  const routes = { name: `instance-${++started}`, hosts: [] };
  return startProxy(site, name, routes, (where, plan) => hipacheWith(where, plan, { store, workers }));
}
