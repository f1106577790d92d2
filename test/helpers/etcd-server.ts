import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RemoteMachine } from './remote-machine.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

/** What a member replies whose cluster has just lost its leader: etcdctl gives up at once. */
const leaderless = /etcdserver: (request timed out|leader changed|no leader)/;
/** How long a new leader may take on a loaded machine, in ms. */
const electionMs = 30_000;

/** One member of a cluster, on ports that stay the same. */
export class EtcdMember {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
  private readonly directory: string;
  private readonly options: EtcdOptions;
  private running: ServerProcess | null = null;
  private hung = false;

  constructor(name: string, port: number, peerPort: number, directory: string, options: EtcdOptions) {
    this.name = name;
    this.port = port;
    this.peerPort = peerPort;
    this.directory = directory;
    this.options = options;
  }

  get url(): string {
    return `etcd://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.running?.pid ?? 0;
  }

  /** It runs, and does not hang. */
  get answers(): boolean {
    return this.running !== null && !this.hung;
  }

  /** Starts it with the data that it has. @param cluster of all members. */
  start(cluster: string): void {
    const { args: further = [], machine } = this.options;
    const scheme = further.some((arg) => arg.startsWith('--cert-file')) ? 'https' : 'http';
    const own = `${scheme}://127.0.0.1:${this.port}`;
    const peer = `http://127.0.0.1:${this.peerPort}`;
    const command = inMachine(machine, [
      'etcd',
      ...['--name', this.name, '--data-dir', this.directory],
      ...[
        '--listen-client-urls',
        machine === undefined ? own : `${scheme}://0.0.0.0:${this.port}`,
        '--advertise-client-urls',
        own,
      ],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', cluster, '--initial-cluster-token', 'hipache-test'],
      // A member that is lost is noticed soon.
      ...['--heartbeat-interval', '50', '--election-timeout', '500', '--unsafe-no-fsync'],
      ...further,
    ]);
    this.hung = false;
    this.running = new ServerProcess(command);
  }

  /** Waits until it serves clients. */
  async ready(): Promise<void> {
    const { running } = this;
    if (running === null) throw new Error(`etcd ${this.name} is not started`);
    await running.ready(() => /serving (insecure )?client (requests|traffic)/.test(running.output));
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { running } = this;
    this.running = null;
    await running?.stop(signal);
  }

  /** Removes its data while it is stopped. */
  wipe(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.hung = signal === 'SIGSTOP';
    this.running?.signal(signal);
  }
}

export interface EtcdOptions {
  /** Default 1. */
  readonly members?: number;
  /** Further arguments of every member. */
  readonly args?: readonly string[];
  /** Arguments of etcdctl, besides the endpoints. */
  readonly ctl?: readonly string[];
  /** Where it runs, reachable at all addresses; default: here, at 127.0.0.1. */
  readonly machine?: RemoteMachine;
}

/** A cluster of etcd in a temporary directory. */
export class EtcdServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-etcd-'));
  readonly members: readonly EtcdMember[];
  private readonly options: EtcdOptions;

  /** @param ports of the clients and of the peers: two for each member. */
  private constructor(ports: readonly number[], options: EtcdOptions) {
    this.options = options;
    this.members = Array.from({ length: ports.length / 2 }, (_, i) => {
      const [port = 0, peer = 0] = ports.slice(2 * i);
      return new EtcdMember(`m${i}`, port, peer, join(this.directory, `m${i}`), options);
    });
  }

  static start(options: EtcdOptions = {}): Promise<EtcdServer> {
    return startOnFreePorts(2 * (options.members ?? 1), (ports) => new EtcdServer(ports, options));
  }

  async start(): Promise<void> {
    for (const member of this.members) member.start(this.cluster);
    await Promise.all(this.members.map((member) => member.ready()));
  }

  get cluster(): string {
    return this.members.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(',');
  }

  get urls(): string[] {
    return this.members.map(({ url }) => url);
  }

  /**
   * Runs etcdctl on the members that answer; again while the cluster elects a leader, if running it twice is harmless.
   * @returns its output without the last line end. @throws if it fails.
   */
  async ctl(...args: readonly string[]): Promise<string> {
    const isRepeatable = ['put', 'get', 'del'].includes(args[0] ?? '');
    const endMs = performance.now() + electionMs;
    for (;;) {
      try {
        return await this.runCtl(args);
      } catch (error) {
        if (!isRepeatable || performance.now() > endMs || !leaderless.test(String(error))) throw error;
        await delay(100);
      }
    }
  }

  private async runCtl(args: readonly string[]): Promise<string> {
    // It would wait for a member that hangs until its time is over.
    const endpoints = this.members.filter(({ answers }) => answers).map(({ port }) => `127.0.0.1:${port}`);
    const { ctl = ['--endpoints', endpoints.join(','), '--command-timeout', '30s'] } = this.options;
    const env = { ...process.env, ETCDCTL_API: '3' };
    const [program, ...all] = inMachine(this.options.machine, ['etcdctl', ...ctl, ...args]);
    const { stdout } = await promisify(execFile)(program, all, { env, maxBuffer: 1 << 26 });
    return stdout.replace(/\n$/, '');
  }

  async remove(): Promise<void> {
    for (const member of this.members) await member.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function inMachine(machine: RemoteMachine | undefined, command: [string, ...string[]]): readonly [string, ...string[]] {
  return machine?.command(...command) ?? command;
}
