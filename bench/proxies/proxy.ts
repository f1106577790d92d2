import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, untilListening } from '../ports.ts';
import type { RouteSet } from '../routes.ts';
import type { Site } from '../site.ts';
import type { Move } from './move.ts';

/** What is compared in docs/performance.md: this checkout of Hipache, and proxies of others. */
export const productNames = ['hipache', 'nginx', 'haproxy', 'caddy', 'npm'] as const;
export type ProductName = (typeof productNames)[number];

/** `against` is another checkout of Hipache, that of `--against`. */
export type ProxyName = ProductName | 'against';

/** The checkouts of Hipache. */
export const checkoutNames: readonly ProxyName[] = ['hipache', 'against'];

/** Those that take part unless a scenario says otherwise. */
export const mainProxies: readonly ProxyName[] = [...checkoutNames, 'nginx', 'haproxy'];

/** All, in the order of their turns. */
export const proxyNames: readonly ProxyName[] = [...mainProxies, 'caddy', 'npm'];

/** A proxy that runs with all routes of its set. */
export interface RunningProxy {
  readonly name: ProxyName;
  readonly pid: number;
  readonly port: number;
  /** With TLS. */
  readonly tlsPort: number;
  /** For HTTP/2 without TLS. Of Hipache, nginx and HAProxy. */
  readonly h2cPort: number;
  readonly routes: RouteSet;
  /** The URL of the route store; null where routes are a file that is read at the start. */
  readonly store: string | null;
  /** How the host is moved that the routes have for it; null where they have none. */
  readonly move: Move | null;
  /** Why it does not run any more, null while it does. */
  problem(): string | null;
  stop(): Promise<void>;
}

/** How one is started: on these ports, with these routes. */
export interface Plan {
  readonly name: ProxyName;
  /** Of processes and files: no other proxy of this run has it. */
  readonly label: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly h2cPort: number;
  readonly routes: RouteSet;
  /** The path of a file of this proxy. */
  path(ending: string): string;
  /** Writes a file of this proxy. @returns its path. */
  write(ending: string, text: string): string;
}

/** What a proxy's file makes of a plan. */
export interface Launch {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly store?: string;
  readonly move?: Move;
}

/**
 * Starts a proxy as `launch` says, and waits until it listens.
 * @param core what it may use. Default: the proxies' core.
 */
export async function startProxy(
  site: Site,
  name: ProxyName,
  routes: RouteSet,
  launch: (site: Site, plan: Plan) => Launch | Promise<Launch>,
  core: number | readonly number[] = site.proxyCore,
): Promise<RunningProxy> {
  const label = `${name}-${routes.name}`;
  const [port = 0, tlsPort = 0, h2cPort = 0] = await freePorts(3);
  const path = (ending: string) => join(site.directory, `${label}.${ending}`);
  const write = (ending: string, text: string) => {
    writeFileSync(path(ending), text);
    return path(ending);
  };
  const { command, env, store, move } = await launch(site, {
    ...{ name, label, port, tlsPort, h2cPort, routes, path, write },
  });
  const running = site.processes.start(label, command, { core, ...(env === undefined ? {} : { env }) });
  await untilListening(running, port);
  return {
    ...{ name, pid: running.pid, port, tlsPort, h2cPort, routes, store: store ?? null, move: move ?? null },
    problem: () => (running.exitCode === null ? null : `${label} ended (${running.exitCode}):\n${running.output()}`),
    stop: () => running.stop(),
  };
}

/** The ports of the backends of a host, by the number of the first. */
export function portsOf(
  { backendPorts, grpcPort }: Site,
  { backends = 1, grpc }: RouteSet,
  first: number,
): readonly number[] {
  if (grpc) return [grpcPort];
  return Array.from({ length: backends }, (_, i) => backendPorts[(first + i) % backendPorts.length] ?? 0);
}

/** A line for each host: `host value`, the value by the number of its backend. */
export function mapLines(routes: RouteSet, backends: number, line: (host: string, backend: number) => string): string {
  return `${routes.hosts.map((host, i) => line(host, i % backends)).join('\n')}\n`;
}
