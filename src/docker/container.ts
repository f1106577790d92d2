import { z } from 'zod';

/** A port that a container exposes or publishes, of TCP. */
export interface ContainerPort {
  readonly port: number;
  /** Whether the container itself exposes it, and not only the one whose network it shares. */
  readonly isExposed: boolean;
  /** Where it is published on the machine. */
  readonly published: readonly { readonly address: string; readonly port: number }[];
}

/** The parts of a container that its routes depend on. */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it runs, and is neither paused nor about to end. */
  readonly isRunning: boolean;
  /** `none` without a check of its health. */
  readonly health: 'none' | 'starting' | 'healthy' | 'unhealthy';
  /** In epoch ms. */
  readonly createdMs: number;
  readonly startedMs: number;
  /** `bridge`, `host`, `none`, `container:ID` or the name of a network. */
  readonly networkMode: string;
  /** Addresses by the names of networks; only networks in which it has one. */
  readonly networks: ReadonlyMap<string, string>;
  readonly ports: readonly ContainerPort[];
  /** Numbers or names of the signal by which it is asked to end. */
  readonly stopSignal: string;
  /** How long it may take to end, in ms. */
  readonly stopMs: number;
}

/** A container in the list of all that run. */
export interface ListedContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Differs if anything differs that routes depend on, as far as the list has it. */
  readonly print: string;
}

/** How long a container may take to end if it does not say, in ms. */
const stopMsDefault = 10_000;

const text = z.string().nullish();
const texts = z.record(z.string(), z.string()).nullish();

const network = z.object({ IPAddress: text, GlobalIPv6Address: text }).nullish();
const bindings = z.array(z.object({ HostIp: text, HostPort: z.union([z.string(), z.number()]) })).nullish();

const inspected = z.object({
  Id: z.string().min(1),
  Name: text,
  Created: text,
  State: z.object({
    Status: text,
    Running: z.boolean().nullish(),
    Paused: z.boolean().nullish(),
    Restarting: z.boolean().nullish(),
    Dead: z.boolean().nullish(),
    StartedAt: text,
    Health: z.object({ Status: text }).nullish(),
  }),
  Config: z.object({
    Labels: texts,
    ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
    StopSignal: z.union([z.string(), z.number()]).nullish(),
    StopTimeout: z.number().nullish(),
  }),
  HostConfig: z.object({ NetworkMode: text }).nullish(),
  NetworkSettings: z
    .object({
      IPAddress: text,
      Networks: z.record(z.string(), network).nullish(),
      Ports: z.record(z.string(), bindings).nullish(),
    })
    .nullish(),
});

const listed = z.array(
  z.object({
    Id: z.string().min(1),
    Names: z.array(z.string()).nullish(),
    Labels: texts,
    State: text,
    Status: text,
    Ports: z.unknown().optional(),
    NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  }),
);

/** Reads the description of one container. @throws Error if it is none. */
export function readContainer(value: unknown): Container {
  const { Config, Created, HostConfig, Id, Name, NetworkSettings, State } = checked(inspected, value, 'a container');
  const health = State.Health?.Status ?? '';
  return {
    id: Id,
    name: (Name ?? '').replace(/^\//, '') || Id.slice(0, 12),
    labels: Config.Labels ?? {},
    isRunning:
      State.Running === true &&
      State.Paused !== true &&
      State.Restarting !== true &&
      State.Dead !== true &&
      // Podman says so before it says that the container does not run.
      (State.Status ?? 'running') === 'running',
    health: health === 'starting' || health === 'healthy' || health === 'unhealthy' ? health : 'none',
    createdMs: timeOf(Created),
    startedMs: timeOf(State.StartedAt),
    networkMode: HostConfig?.NetworkMode ?? '',
    networks: networksOf(NetworkSettings?.Networks ?? {}, NetworkSettings?.IPAddress ?? ''),
    ports: portsOf(Config.ExposedPorts ?? {}, NetworkSettings?.Ports ?? {}),
    stopSignal: String(Config.StopSignal ?? '') || 'SIGTERM',
    stopMs: (Config.StopTimeout ?? 0) > 0 ? (Config.StopTimeout ?? 0) * 1000 : stopMsDefault,
  };
}

/** The container whose network this one shares: its id or name; null for one of its own. */
export function networkContainer({ networkMode }: Container): string | null {
  return /^container:(.+)$/.exec(networkMode)?.[1] ?? null;
}

/** A container that shares the network of another one: it has the addresses and the published ports of that. */
export function withNetworkOf(container: Container, { networkMode, networks, ports }: Container): Container {
  const own = container.ports.map(({ port }) => ({
    port,
    isExposed: true,
    published: ports.find((each) => each.port === port)?.published ?? [],
  }));
  const others = ports.filter(({ port }) => own.every((each) => each.port !== port));
  const all = [...own, ...others.map((port) => ({ ...port, isExposed: own.length === 0 }))];
  return { ...container, networkMode, networks, ports: all };
}

/** Reads the list of containers that run. @throws Error if it is none. */
export function readList(value: unknown): ListedContainer[] {
  return checked(listed, value, 'a list of containers').map(
    ({ Id, Labels, Names, NetworkSettings, Ports, State, Status }) => {
      // "Up 3 minutes (healthy)": the time changes with each look.
      const health = /\((?:health: )?(\w+)\)/.exec(Status ?? '')?.[1] ?? '';
      const print = JSON.stringify([Names, State, health, Ports, NetworkSettings?.Networks]);
      return { id: Id, labels: Labels ?? {}, print };
    },
  );
}

function checked<Value>(schema: z.ZodType<Value>, value: unknown, what: string): Value {
  const { data, error, success } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  throw new Error(`the engine describes ${what} in another way: ${issue?.path.join('.')}: ${issue?.message}`);
}

function networksOf(networks: Readonly<Record<string, z.output<typeof network>>>, only: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, one] of Object.entries(networks)) {
    const address = one?.IPAddress || one?.GlobalIPv6Address || '';
    if (address !== '') found.set(name, address);
  }
  // Old engines have one network without a name.
  if (found.size === 0 && only !== '') found.set('bridge', only);
  return found;
}

function portsOf(
  exposed: Readonly<Record<string, unknown>>,
  published: Readonly<Record<string, z.output<typeof bindings>>>,
): ContainerPort[] {
  const names = new Set([...Object.keys(exposed), ...Object.keys(published)]);
  const ports: ContainerPort[] = [];
  for (const name of names) {
    const [, port, protocol] = /^(\d+)(?:\/(\w+))?$/.exec(name) ?? [];
    if (port === undefined || (protocol ?? 'tcp') !== 'tcp') continue;
    const found = (published[name] ?? [])
      .map(({ HostIp, HostPort }) => ({ address: HostIp ?? '', port: Number(HostPort) }))
      .filter(({ port: number }) => number >= 1 && number <= 65_535);
    ports.push({ port: Number(port), isExposed: true, published: found });
  }
  return ports.sort((one, other) => one.port - other.port);
}

function timeOf(value: string | null | undefined): number {
  const ms = Date.parse(value ?? '');
  return Number.isNaN(ms) ? 0 : ms;
}
