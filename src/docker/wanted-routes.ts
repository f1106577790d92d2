import { backendIdentity } from '../routing/backend-url.ts';
import type { ContainerRoute } from './container-routes.ts';

/** A container that is to be reached. */
export interface RoutedContainer {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
  readonly routes: readonly ContainerRoute[];
}

/** The route of one host to all of its containers. */
export interface WantedHost {
  readonly host: string;
  readonly backends: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

/** An option that two containers of one host want with different values. */
export interface Contradiction {
  readonly host: string;
  readonly option: string;
  /** The container whose value does not hold. */
  readonly container: string;
  /** The one whose value holds: it was made first. */
  readonly holder: string;
}

/** The containers that have routes, by their hosts. */
export class WantedRoutes {
  private readonly containers = new Map<string, RoutedContainer>();
  private readonly byHost = new Map<string, Set<string>>();

  /** Every host that has a container, in no order. */
  get hosts(): string[] {
    return [...this.byHost.keys()];
  }

  /** The names of the containers of a host. */
  namesOf(host: string): string[] {
    return [...(this.byHost.get(host) ?? [])].map((id) => this.containers.get(id)?.name ?? id).sort();
  }

  /** Replaces a container. @returns the hosts whose routes may differ from before. */
  set(container: RoutedContainer): string[] {
    const before = this.containers.get(container.id);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(container)) return [];
    const hosts = new Set([...this.delete(container.id), ...container.routes.map(({ host }) => host)]);
    this.containers.set(container.id, container);
    for (const { host } of container.routes) {
      const ids = this.byHost.get(host) ?? new Set();
      this.byHost.set(host, ids.add(container.id));
    }
    return [...hosts];
  }

  /** Removes a container. @returns as `set`. */
  delete(id: string): string[] {
    const routes = this.containers.get(id)?.routes ?? [];
    this.containers.delete(id);
    for (const { host } of routes) {
      const ids = this.byHost.get(host);
      ids?.delete(id);
      if (ids?.size === 0) this.byHost.delete(host);
    }
    return routes.map(({ host }) => host);
  }

  /** The route of a host; without backends if no container has it. Of contradicting options that of the oldest container holds. */
  wanted(host: string): { readonly route: WantedHost; readonly contradictions: readonly Contradiction[] } {
    const containers = [...(this.byHost.get(host) ?? [])]
      .map((id) => this.containers.get(id) as RoutedContainer)
      .sort((one, other) => one.createdMs - other.createdMs || (one.id < other.id ? -1 : 1));
    const backends = new Map<string, string>();
    const options = new Map<string, { readonly value: string; readonly holder: string }>();
    const contradictions: Contradiction[] = [];
    for (const { name, routes } of containers) {
      for (const route of routes) {
        if (route.host !== host) continue;
        // Two containers with one address: the first has ended, but nobody has said so yet.
        backends.set(backendIdentity(route.url), route.url);
        for (const [option, value] of Object.entries(route.options)) {
          const first = options.get(option);
          if (first === undefined) options.set(option, { value, holder: name });
          else if (first.value !== value) contradictions.push({ host, option, container: name, holder: first.holder });
        }
      }
    }
    const values = Object.fromEntries([...options].map(([option, { value }]) => [option, value]));
    return { route: { host, backends: [...backends.values()], options: values }, contradictions };
  }
}
