import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface FakeContainer {
  readonly id: string;
  labels: Readonly<Record<string, string>>;
  address: string;
  running: boolean;
  paused: boolean;
  health: string;
  status: string;
  startedAt: string;
  created: string;
  /** Whether it is in lists, while it runs. */
  isListed: boolean;
}

/** As much of the API of Docker as `hipache docker` uses, without containers. It can go away, and lose events. */
export class FakeEngine {
  readonly containers = new Map<string, FakeContainer>();
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** Whether events are lost. */
  losesEvents = false;
  /** Responses other than the usual ones, by the end of the path. */
  readonly failures = new Map<string, number>();
  podman = false;
  apiVersions = { ApiVersion: '1.47', MinAPIVersion: '1.24' };
  private readonly folder = mkdtempSync(join(tmpdir(), 'hipache-engine-'));
  private server: Server | null = null;
  private readonly followers = new Set<ServerResponse>();

  get socket(): string {
    return join(this.folder, 'engine.sock');
  }

  /** Whether somebody follows the events. */
  get isFollowed(): boolean {
    return this.followers.size > 0;
  }

  async start(): Promise<void> {
    this.server = createServer((request, response) => this.respond(request, response)).listen(this.socket);
    await once(this.server, 'listening');
  }

  /** Ends it, and all connections. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (server === null) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    this.followers.clear();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Starts a container that exposes port 80. */
  run(id: string, labels: Readonly<Record<string, string>>, given: Partial<FakeContainer> = {}): void {
    const now = new Date().toISOString();
    const usual = {
      running: true,
      paused: false,
      health: '',
      status: 'running',
      startedAt: now,
      created: now,
      isListed: true,
    };
    this.containers.set(id, { id, labels, address: `10.0.0.${this.containers.size + 1}`, ...usual, ...given });
    this.emit('start', id);
  }

  /** Changes a container, and reports that. */
  change(id: string, change: Partial<FakeContainer>, action: string): void {
    const container = this.containers.get(id);
    if (container === undefined) throw new Error(`there is no container ${id}`);
    Object.assign(container, change);
    this.emit(action, id);
  }

  delete(id: string): void {
    const { labels = {} } = this.containers.get(id) ?? {};
    this.containers.delete(id);
    this.emit('destroy', id, labels);
  }

  emit(action: string, id: string, attributes: Readonly<Record<string, string>> = {}): void {
    if (this.losesEvents) return;
    const { labels = {} } = this.containers.get(id) ?? {};
    const [time, timeNano] = [Math.floor(Date.now() / 1000), Date.now() * 1e6];
    const actor = { ID: id, Attributes: { ...labels, ...attributes } };
    const line = JSON.stringify({ Type: 'container', Action: action, Actor: actor, time, timeNano });
    for (const follower of this.followers) follower.write(`${line}\n`);
  }

  private respond({ url = '' }: IncomingMessage, response: ServerResponse): void {
    this.asked.push(url);
    const path = url.replace(/^\/v[\d.]+/, '').replace(/\?.*/, '');
    const [status, body] = this.answer(path);
    if (path !== '/events' || status !== 200) {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.followers.add(response);
    response.once('close', () => this.followers.delete(response));
  }

  private answer(path: string): readonly [status: number, body: unknown] {
    const failure = [...this.failures].find(([end]) => path.endsWith(end))?.[1];
    if (failure !== undefined) return [failure, { message: 'broken' }];
    if (path === '/version') {
      return [200, { ...this.apiVersions, Components: this.podman ? [{ Name: 'Podman Engine' }] : [] }];
    }
    if (path === '/info') return [200, { Name: 'machine_1' }];
    if (path === '/containers/json') return [200, this.list()];
    if (path === '/events') return [200, null];
    const id = /^\/containers\/([^/]+)\/json$/.exec(path)?.[1] ?? '';
    const container = this.containers.get(id);
    return container === undefined ? [404, { message: `No such container: ${id}` }] : [200, description(container)];
  }

  private list(): object[] {
    const running = [...this.containers.values()].filter(
      ({ isListed, running, status }) => isListed && running && status !== 'stopping',
    );
    return running.map(({ address, health, id, labels, paused }) => ({
      ...{ Id: id, Names: [`/${id}`], Labels: labels, State: paused ? 'paused' : 'running', Ports: [] },
      Status: health === '' ? 'Up 2 seconds' : `Up 2 seconds (${health})`,
      NetworkSettings: { Networks: { bridge: { IPAddress: address } } },
    }));
  }
}

function description({
  address,
  created,
  health,
  id,
  labels,
  paused,
  running,
  startedAt,
  status,
}: FakeContainer): object {
  return {
    ...{ Id: id, Name: `/${id}`, Created: created, HostConfig: { NetworkMode: 'bridge' } },
    State: {
      ...{ Status: status, Running: running && status === 'running', Paused: paused, StartedAt: startedAt },
      ...(health === '' ? {} : { Health: { Status: health } }),
    },
    Config: { Labels: labels, ExposedPorts: { '80/tcp': {} } },
    NetworkSettings: { Networks: { bridge: { IPAddress: running ? address : '' } }, Ports: {} },
  };
}
