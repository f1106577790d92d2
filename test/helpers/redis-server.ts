import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RemoteMachine } from './remote-machine.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

export interface RedisServerOptions {
  /** Directives of redis.conf, one per line. */
  readonly config?: readonly string[];
  /** A node of a cluster. */
  readonly isNode?: boolean;
  /** Arguments with which redis-cli authenticates, besides the server's address. */
  readonly cli?: readonly string[];
  /** Set if it is only reachable with TLS: paths of the certificate and the key. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Where it runs, reachable at all addresses; default: here, at 127.0.0.1. */
  readonly machine?: RemoteMachine;
}

/** A Redis server in a temporary directory, without persistence, on a port that stays the same. */
export class RedisServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-redis-'));
  readonly port: number;
  /** For the other nodes of its cluster. */
  readonly busPort: number;
  private readonly options: RedisServerOptions;
  private running: ServerProcess | null = null;

  private constructor(port: number, busPort: number, options: RedisServerOptions) {
    this.port = port;
    this.busPort = busPort;
    this.options = options;
  }

  static start(options: RedisServerOptions = {}): Promise<RedisServer> {
    return startOnFreePorts(2, ([port = 0, busPort = 0]) => new RedisServer(port, busPort, options));
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** The path of its Unix socket. */
  get socket(): string {
    return join(this.directory, 'redis.sock');
  }

  /** Starts it, empty, on the same port as before. */
  async start(): Promise<void> {
    const { config = [], isNode = false, tls, machine } = this.options;
    const port = tls === undefined ? [`port ${this.port}`] : ['port 0', `tls-port ${this.port}`];
    const certificates =
      tls === undefined ? [] : [`tls-cert-file ${tls.certificate}`, `tls-key-file ${tls.key}`, 'tls-auth-clients no'];
    const lines = [
      ...(machine === undefined ? ['bind 127.0.0.1'] : ['bind 0.0.0.0', 'protected-mode no']),
      ...port,
      ...certificates,
      ...(isNode ? ['cluster-enabled yes', `cluster-port ${this.busPort}`] : []),
      `dir ${this.directory}`,
      `unixsocket ${this.socket}`,
      'save ""',
      'appendonly no',
      'repl-diskless-sync-delay 0',
      ...config,
    ];
    const file = join(this.directory, 'redis.conf');
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    const running = new ServerProcess(this.command('redis-server', file));
    this.running = running;
    await running.ready(() => running.output.includes('Ready to accept connections'));
  }

  /** Runs redis-cli on it. @returns its output without the last line end. @throws if the server refuses. */
  async cli(...args: readonly string[]): Promise<string> {
    const { cli = [], tls } = this.options;
    const secure = tls === undefined ? [] : ['--tls', '--insecure'];
    const [program, ...all] = this.command('redis-cli', '-p', String(this.port), '-e', ...secure, ...cli, ...args);
    const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        output += bytes.toString();
      });
    }
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`redis-cli ${args.join(' ')}: ${output}`);
    return output.replace(/\n$/, '');
  }

  /** Suspends it (SIGSTOP), so that it accepts connections but does not respond. */
  freeze(): void {
    this.running?.signal('SIGSTOP');
  }

  thaw(): void {
    this.running?.signal('SIGCONT');
  }

  /** Kills it. Its data is lost. */
  async kill(): Promise<void> {
    const { running } = this;
    this.running = null;
    await running?.stop();
  }

  /** Ends it and removes its directory. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private command(command: string, ...args: readonly string[]): readonly [string, ...string[]] {
    return this.options.machine?.command(command, ...args) ?? [command, ...args];
  }
}
