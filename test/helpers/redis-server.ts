import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import type { RemoteMachine } from './remote-machine.ts';
import { until } from './until.ts';

export interface RedisServerOptions {
  /** Directives of redis.conf, one per line. */
  readonly config?: readonly string[];
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
  private readonly options: RedisServerOptions;
  private child: ChildProcess | null = null;
  private output = '';

  private constructor(port: number, options: RedisServerOptions) {
    this.port = port;
    this.options = options;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.start();
    return server;
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
    const { config = [], tls, machine } = this.options;
    const port = tls === undefined ? [`port ${this.port}`] : ['port 0', `tls-port ${this.port}`];
    const certificates =
      tls === undefined ? [] : [`tls-cert-file ${tls.certificate}`, `tls-key-file ${tls.key}`, 'tls-auth-clients no'];
    const lines = [
      ...(machine === undefined ? ['bind 127.0.0.1'] : ['bind 0.0.0.0', 'protected-mode no']),
      ...port,
      ...certificates,
      `dir ${this.directory}`,
      `unixsocket ${this.socket}`,
      'save ""',
      'appendonly no',
      'repl-diskless-sync-delay 0',
      ...config,
    ];
    const file = join(this.directory, 'redis.conf');
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    this.output = '';
    const [program, ...args] = this.command('redis-server', file);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    await until('redis to accept connections', () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended: ${this.output}`);
      return this.output.includes('Ready to accept connections');
    });
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
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** Kills it. Its data is lost. */
  async kill(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
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
