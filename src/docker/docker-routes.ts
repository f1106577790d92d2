import { hostname } from 'node:os';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Performer, ResultOf } from '../operations/catalogue.ts';
import type { Container } from './container.ts';
import { type Reach, routesOf } from './container-routes.ts';
import { type ContainerListener, ContainerWatch, type WatchTimings } from './container-watch.ts';
import type { EngineAddress } from './engine-address.ts';
import { EngineClient } from './engine-client.ts';
import { ReportedOnce } from './reported-once.ts';
import { RoutePublisher } from './route-publisher.ts';
import { WantedRoutes } from './wanted-routes.ts';

/** Longest name of a source, and of a holder, in characters. */
const nameCharsMax = 64;
const holderCharsMax = 300;

export interface DockerOptions extends Reach {
  readonly engine: EngineAddress;
  readonly owner: string;
  /** Null: the name of the machine, as the engine knows it, which stays the same if this process is in a container. */
  readonly source: string | null;
  readonly adopt: boolean;
  readonly performer: Performer;
  readonly log: Log;
  readonly timings?: Partial<WatchTimings>;
}

/** The result of writing routes once. */
export interface DockerResult {
  readonly owner: string;
  readonly source: string;
  readonly changes: ResultOf<'setOwnedRoutes'>;
  /** Containers whose labels are wrong, and why. */
  readonly problems: readonly { readonly container: string; readonly problem: string }[];
}

/** Writes the routes of the containers that there are. @throws HipacheError. */
export async function applyDockerRoutes(options: DockerOptions): Promise<DockerResult> {
  const problems: { container: string; problem: string }[] = [];
  const client = new EngineClient(options.engine);
  const routes = new DockerRoutes(options, client, (container, problem) => problems.push({ container, problem }));
  try {
    await new ContainerWatch(client, routes).once();
  } catch (error) {
    if (error instanceof HipacheError) throw error;
    throw new HipacheError('DOCKER_UNREACHABLE', (error as Error).message, { cause: error });
  } finally {
    client.close();
  }
  const { publisher, source } = routes;
  if (publisher === null) throw new Error('containers without a connection');
  return { owner: options.owner, source, changes: await publisher.once(), problems };
}

/**
 * Keeps the routes of containers in the store until `signal` is aborted. They stay when it ends.
 * @throws HipacheError that trying again does not mend.
 */
export async function keepDockerRoutes(options: DockerOptions, signal: AbortSignal): Promise<void> {
  const client = new EngineClient(options.engine);
  const routes = new DockerRoutes(options, client, (container, problem) => {
    options.log.warn(`no route to the container: ${problem}`, { container });
  });
  const all = new AbortController();
  const stop = (): void => all.abort();
  signal.addEventListener('abort', stop);
  try {
    await Promise.race([new ContainerWatch(client, routes, options.timings).run(all.signal), routes.failure]);
  } finally {
    signal.removeEventListener('abort', stop);
    all.abort();
    client.close();
    await routes.publisher?.end();
  }
}

/** The routes of containers that come and go. */
class DockerRoutes implements ContainerListener {
  publisher: RoutePublisher | null = null;
  source = '';
  private readonly options: DockerOptions;
  private readonly client: EngineClient;
  private readonly problems: ReportedOnce;
  private readonly names = new Map<string, string>();
  private readonly failed = Promise.withResolvers<never>();
  private isAway = false;

  constructor(options: DockerOptions, client: EngineClient, onProblem: (container: string, problem: string) => void) {
    this.options = options;
    this.client = client;
    this.problems = new ReportedOnce((id, problem) => onProblem(this.names.get(id) ?? id, problem));
    this.failed.promise.catch(() => {});
  }

  /** Rejects with an error that trying again does not mend. */
  get failure(): Promise<never> {
    return this.failed.promise;
  }

  async connected(): Promise<void> {
    if (this.publisher !== null) return;
    const { adopt, log, owner, performer, source } = this.options;
    const { client } = this;
    this.source = source ?? (await nameOf(client));
    const holder = `${hostname()} ${client.name}`.slice(0, holderCharsMax);
    const publisher = new RoutePublisher(new WantedRoutes(), {
      adopt,
      holder,
      log,
      owner,
      performer,
      source: this.source,
    });
    publisher.failure.catch(this.failed.reject);
    this.publisher = publisher;
    log.info('routes follow the labels of containers', { engine: client.name, owner, source: this.source });
  }

  container(id: string, container: Container | null): void {
    if (container === null) {
      this.report(id, id, []);
      this.names.delete(id);
      this.publisher?.delete(id);
      return;
    }
    const { createdMs, name } = container;
    const { problems, routes } = routesOf(container, this.options);
    this.names.set(id, name);
    this.report(id, name, problems);
    if (routes.length === 0) this.publisher?.delete(id);
    else this.publisher?.set({ id, name, createdMs, routes });
  }

  complete(): void {
    if (this.isAway) this.options.log.info('the engine answers again', { engine: this.client.name });
    this.isAway = false;
    this.publisher?.complete();
  }

  away({ message }: Error): void {
    if (!this.isAway) this.options.log.warn(`the engine is away, and routes stay as they are: ${message}`);
    this.isAway = true;
  }

  unreadable(id: string, { message }: Error): void {
    this.report(id, this.names.get(id) ?? id.slice(0, 12), [`it cannot be inspected: ${message}`]);
  }

  private report(id: string, name: string, problems: readonly string[]): void {
    this.names.set(id, name);
    const found = problems.length === 0 ? [] : [[id, problems.join('; ')] as const];
    this.problems.report(new Map(found), (what) => what === id);
  }
}

/** The name of the machine, as the engine knows it, in the form of a source. */
async function nameOf(client: EngineClient): Promise<string> {
  const info = (await client.get('/info')) as { readonly Name?: unknown } | null;
  const name = typeof info?.Name === 'string' && info.Name !== '' ? info.Name : hostname();
  const allowed = name.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return allowed.slice(0, nameCharsMax) || 'docker';
}
