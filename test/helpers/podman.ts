import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from './server-process.ts';

/** Its image: one program, and a page. */
const image = 'hipache-test:1';

interface ContainerOptions {
  readonly labels: Readonly<Record<string, string>>;
  /** Default: a server of HTTP at port 8080 that says the name of the container, and ends when it is asked to. */
  readonly command?: readonly string[];
  readonly exposed?: readonly number[];
  readonly networks?: readonly string[];
  /** Ports of the container by those of the machine, on 127.0.0.1. */
  readonly published?: Readonly<Record<number, number>>;
  /** A command that finds out whether it is healthy. */
  readonly health?: readonly string[];
}

/**
 * Podman with a service for the API of Docker: with a storage, networks and a socket of its own, and the only image in it. Nothing is
 * pulled from anywhere.
 */
export class Podman {
  readonly folder = mkdtempSync(join(tmpdir(), 'hipache-podman-'));
  readonly networks: readonly [string, string];
  private readonly env: NodeJS.ProcessEnv;
  private readonly options: readonly string[];
  private service: ServerProcess | null = null;

  private constructor() {
    this.networks = ['front', 'back'];
    this.env = { ...process.env, CONTAINERS_CONF: this.path('containers.conf') };
    this.options = [
      ...['--root', this.path('root'), '--runroot', this.path('run'), '--tmpdir', this.path('tmp')],
      ...['--storage-driver', 'vfs', '--network-config-dir', this.path('networks')],
    ];
    writeFileSync(this.path('containers.conf'), configuration);
    mkdirSync(this.path('networks'));
    for (const [at, name] of this.networks.entries()) this.writeNetwork(name, at);
    this.makeImage();
  }

  static async start(): Promise<Podman> {
    const podman = new Podman();
    try {
      await podman.serve();
      return podman;
    } catch (error) {
      await podman.remove();
      throw error;
    }
  }

  get socket(): string {
    return this.path('api.sock');
  }

  /** Starts the service of the API. Containers run with or without it. */
  async serve(): Promise<void> {
    rmSync(this.socket, { force: true });
    const command = [...this.options, 'system', 'service', '--time=0', `unix://${this.socket}`] as const;
    this.service = new ServerProcess(['podman', ...command], { env: this.env });
    await this.service.ready(
      async () =>
        existsSync(this.socket) &&
        this.ask('GET', '/_ping').then(
          () => true,
          () => false,
        ),
    );
  }

  async stopService(): Promise<void> {
    await this.service?.stop('SIGTERM');
    this.service = null;
  }

  /** Makes a container, without starting it. */
  async create(name: string, options: ContainerOptions): Promise<void> {
    const { command = serving(name), exposed = [8080], health, labels, networks, published = {} } = options;
    const bindings = Object.entries(published).map(([host, port]) => [
      `${port}/tcp`,
      [{ HostIp: '127.0.0.1', HostPort: host }],
    ]);
    const [first = this.networks[0]] = networks ?? [];
    await this.ask('POST', `/containers/create?name=${name}`, {
      ...{ Image: `localhost/${image}`, Cmd: command, Labels: labels },
      ExposedPorts: Object.fromEntries(exposed.map((port) => [`${port}/tcp`, {}])),
      HostConfig: { NetworkMode: first, PortBindings: Object.fromEntries(bindings) },
      ...(health === undefined
        ? {}
        : {
            Healthcheck: { Test: ['CMD', ...health], Interval: 3_600_000_000_000, Timeout: 5_000_000_000, Retries: 1 },
          }),
      NetworkingConfig: { EndpointsConfig: Object.fromEntries((networks ?? [first]).map((each) => [each, {}])) },
    });
  }

  async start(name: string): Promise<void> {
    await this.ask('POST', `/containers/${name}/start`);
  }

  async run(name: string, options: ContainerOptions): Promise<void> {
    await this.create(name, options);
    await this.start(name);
  }

  /** @param seconds after which it is killed. */
  async stop(name: string, seconds = 10): Promise<void> {
    await this.ask('POST', `/containers/${name}/stop?t=${seconds}`);
  }

  async pause(name: string, isPaused: boolean): Promise<void> {
    await this.ask('POST', `/containers/${name}/${isPaused ? 'pause' : 'unpause'}`);
  }

  async delete(name: string): Promise<void> {
    // Otherwise it is given ten seconds to end.
    await this.ask('POST', `/containers/${name}/kill`).catch(() => {});
    await this.ask('DELETE', `/containers/${name}?force=1`);
  }

  /** Runs a command in a container. */
  execute(name: string, ...command: readonly string[]): void {
    this.podman('exec', name, ...command);
  }

  /** Checks the health of a container, as the service manager of the machine does. */
  checkHealth(name: string): void {
    spawnSync('podman', [...this.options, 'healthcheck', 'run', name], { env: this.env });
  }

  /** Ends all containers and the service, and removes all files. */
  async remove(): Promise<void> {
    // One that is asked to end is not removed before it has ended.
    spawnSync('podman', [...this.options, 'kill', '--all'], { env: this.env });
    this.podman('rm', '--all', '--force', '--time', '0');
    await this.stopService();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private makeImage(): void {
    const files = this.path('image');
    mkdirSync(join(files, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(files, 'bin/busybox'));
    symlinkSync('busybox', join(files, 'bin/sh'));
    execFileSync('tar', ['-C', files, '-cf', this.path('image.tar'), '.']);
    this.podman('import', '--quiet', this.path('image.tar'), image);
  }

  /**
   * A network with a bridge and 13 addresses that no other test has: below 198.18.0.0/15, which RFC 2544 reserves for
   * tests. Each process has 32 of them, as for `RemoteMachine`.
   */
  private writeNetwork(name: string, at: number): void {
    const first = ((198 << 24) | (18 << 16) | ((process.pid % 4096) << 5) | (at << 4)) >>> 0;
    const [network, gateway] = [first, first + 1].map((address) =>
      [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join('.'),
    );
    const description = {
      ...{ name, id: `${process.pid}${at}`.padStart(64, '0'), driver: 'bridge', created: '2026-01-01T00:00:00Z' },
      ...{
        network_interface: `hpod${process.pid}x${at}`.slice(0, 15),
        subnets: [{ subnet: `${network}/28`, gateway }],
      },
      ...{ ipv6_enabled: false, internal: false, dns_enabled: false, ipam_options: { driver: 'host-local' } },
    };
    writeFileSync(this.path(`networks/${name}.json`), JSON.stringify(description));
  }

  private podman(...args: readonly string[]): void {
    execFileSync('podman', [...this.options, ...args], { env: this.env, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  private async ask(method: string, path: string, body?: unknown): Promise<void> {
    const { promise, reject, resolve } = Promise.withResolvers<IncomingMessage>();
    const headers = { 'content-type': 'application/json' };
    const sent = request(`http://d/v1.41${path}`, { method, socketPath: this.socket, headers, agent: false }, resolve);
    sent.once('error', reject);
    sent.end(body === undefined ? '' : JSON.stringify(body));
    const response = await promise;
    const text = (await response.setEncoding('utf8').toArray()).join('');
    if ((response.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
  }

  private path(name: string): string {
    return join(this.folder, name);
  }
}

/** A server that says its name, and ends at once when it is asked to: as the first process, it has to say so itself. */
function serving(name: string): readonly string[] {
  const script = [
    'mkdir -p /www',
    `echo ${name} > /www/index.html`,
    '/bin/busybox httpd -f -p 8080 -h /www & pid=$!',
    'trap "kill $pid; exit 0" TERM',
    'wait $pid',
  ];
  return ['/bin/sh', '-c', script.join('\n').replace('mkdir', '/bin/busybox mkdir')];
}

/** Limits that every machine allows, and nothing of systemd, which need not run. */
const configuration = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
`;

/** Podman, or why containers cannot be run here: root may, except in some containers. */
export async function podmanOrReason(): Promise<Podman | string> {
  if (spawnSync('podman', ['--version']).status !== 0) return 'needs podman';
  if (process.getuid?.() !== 0) return 'needs the rights of root';
  let podman: Podman | null = null;
  try {
    podman = await Podman.start();
    await podman.run('probe', { labels: {} });
    await podman.delete('probe');
    return podman;
  } catch (error) {
    await podman?.remove();
    return `containers cannot be run here: ${String(error).slice(0, 300)}`;
  }
}
