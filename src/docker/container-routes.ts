import { isIP } from 'node:net';
import { hostPort } from '../base/host-port.ts';
import { type Container, type ContainerPort, networkContainer } from './container.ts';
import { type LabelGroup, labelPrefix, readLabels } from './labels.ts';

/** How containers are reached. */
export interface Reach {
  /** The address of the machine for published ports; null: containers are reached in their networks, if they can be. */
  readonly address: string | null;
  /** The network that is used of several; null: labels say which. */
  readonly network: string | null;
}

/** One host that leads to a container. */
export interface ContainerRoute {
  readonly host: string;
  readonly url: string;
  readonly options: Readonly<Record<string, string>>;
}

/** The routes that the labels of a container ask for. */
export interface ContainerRoutes {
  readonly routes: readonly ContainerRoute[];
  /** Why there are none although there are labels. */
  readonly problems: readonly string[];
}

/** Ports that a message names. */
const portsShownMax = 10;

/**
 * The routes to a container. Only its labels and where it is count; whether it runs is not looked at. Labels that are wrong give no
 * routes, but problems.
 */
export function routesOf(container: Container, reach: Reach): ContainerRoutes {
  const { groups, problems: wrong } = readLabels(container.labels);
  const problems = [...wrong];
  const routes: ContainerRoute[] = [];
  for (const group of groups) {
    const target = targetOf(container, group, reach);
    if ('problem' in target) {
      problems.push(target.problem);
      continue;
    }
    const url = `${group.scheme}://${hostPort(target.address, target.port)}${group.fragment}`;
    routes.push(...group.hosts.map((host) => ({ host, url, options: group.options })));
  }
  return problems.length === 0 ? { routes, problems } : { routes: [], problems };
}

type Target = { readonly address: string; readonly port: number } | { readonly problem: string };

function targetOf(container: Container, group: LabelGroup, reach: Reach): Target {
  const prefix = group.name === '' ? labelPrefix : `${labelPrefix}${group.name}.`;
  const { networkMode, networks } = container;
  if (networkMode === 'none') return { problem: 'the container has no network (its network mode is none)' };
  if (networkContainer(container) !== null) {
    return { problem: `the container has the network of another one, which is not there (${networkMode})` };
  }
  const port = portOf(container, group, prefix);
  if (typeof port !== 'number') return port;
  if (networkMode === 'host') return { address: reach.address ?? '127.0.0.1', port };
  const isPublished = group.published ?? (reach.address !== null || networks.size === 0);
  if (isPublished) return publishedTarget(container, port, group, reach);
  return networkTarget(container, port, group, reach);
}

function portOf({ networkMode, ports }: Container, { port }: LabelGroup, prefix: string): number | { problem: string } {
  if (port !== null) return port;
  const exposed = ports.filter(({ isExposed }) => isExposed);
  const [only, ...more] = exposed;
  if (only !== undefined && more.length === 0) return only.port;
  const ask = `set the label ${prefix}port`;
  if (only !== undefined)
    return { problem: `the container exposes the ports ${shownPorts(exposed)}; ${ask} to one of them` };
  if (networkMode === 'host')
    return { problem: `the container has the network of the machine and exposes no port; ${ask}` };
  return { problem: `the container exposes no port; ${ask}` };
}

function networkTarget({ networks }: Container, port: number, group: LabelGroup, reach: Reach): Target {
  const names = [...networks.keys()].sort();
  if (group.network !== null) {
    const address = networks.get(group.network);
    if (address !== undefined) return { address, port };
    return {
      problem: `the container is not in the network ${group.network}; it has an address in ${names.join(', ') || 'none'}`,
    };
  }
  const usual = reach.network === null ? undefined : networks.get(reach.network);
  if (usual !== undefined) return { address: usual, port };
  const [only] = names;
  if (only === undefined) return { problem: 'the container has no address in a network; publish its port' };
  if (names.length === 1) return { address: networks.get(only) as string, port };
  return {
    problem: `the container is in the networks ${names.join(', ')}; set the label ${labelPrefix}network to one of them`,
  };
}

function publishedTarget({ ports }: Container, port: number, group: LabelGroup, reach: Reach): Target {
  const bindings = ports.find((each) => each.port === port)?.published ?? [];
  if (bindings.length === 0) {
    const why =
      group.published === true
        ? `the label ${labelPrefix}published asks for it`
        : reach.address === null
          ? 'it has no address in a network'
          : 'with --address';
    return { problem: `the port ${port} of the container is not published on the machine, which is needed: ${why}` };
  }
  const address = reach.address ?? '127.0.0.1';
  const family = isIP(address);
  const everywhere = bindings.find((each) => each.address === '' || each.address === anyOf(family));
  if (everywhere !== undefined) return { address, port: everywhere.port };
  const same = bindings.find((each) => each.address === address);
  if (same !== undefined) return { address, port: same.port };
  const [first] = bindings as [ContainerPort['published'][number]];
  if (reach.address === null || isLoopback(reach.address) || !isLoopback(first.address))
    return { address: usable(first.address, address), port: first.port };
  const where = `the port ${port} of the container is published on ${first.address} alone`;
  return { problem: `${where}, which others cannot reach; publish it on ${address}` };
}

function anyOf(family: number): string {
  return family === 6 ? '::' : '0.0.0.0';
}

/** A wildcard of the other family takes connections to the machine as well. */
function usable(bound: string, address: string): string {
  return bound === '0.0.0.0' || bound === '::' ? address : bound;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function shownPorts(ports: readonly ContainerPort[]): string {
  const shown = ports.slice(0, portsShownMax).map(({ port }) => port);
  return shown.join(', ') + (ports.length > portsShownMax ? ', …' : '');
}
