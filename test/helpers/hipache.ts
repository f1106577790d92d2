import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { openStore } from '../../src/stores/open-store.ts';
import { until } from './until.ts';
import { isRunning, workerPids } from './workers.ts';

/** What is built from the sources; without `npm test`, the sources. */
export const program =
  process.env['HIPACHE_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../bin/hipache', import.meta.url));

/** The output of a command. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory for one test: configuration, store, logs, and the Hipache processes in it. */
export class HipacheHome {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-test-'));
  private readonly running: HipacheProcess[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  get driver(): string {
    return `sqlite:${this.path('routes.sqlite')}`;
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /**
   * Writes the configuration: this home's store, a log here and the user that runs the test, overridden by what is
   * given.
   */
  configure(config: Readonly<Record<string, unknown>> = {}, server: Readonly<Record<string, unknown>> = {}): void {
    const whole = {
      server: { accessLog: this.path('access.log'), httpKeepAlive: true, ...server },
      http: { bind: [{ address: '127.0.0.1', port: 0 }] },
      driver: this.driver,
      user: 'root',
      ...config,
    };
    writeFileSync(this.path('config.json'), JSON.stringify(whole));
  }

  /** The path of the snapshot in this home; null if there is none. */
  get snapshot(): string | null {
    const state = this.path('state');
    const name = existsSync(state) ? readdirSync(state).find((file) => /^snapshot-.*\.sqlite$/.test(file)) : undefined;
    return name === undefined ? null : join(state, name);
  }

  /** How many records are in the snapshot, also those that say that there is no route; 0 without one. */
  countSnapshot(): number {
    return this.countInSnapshot('TRUE');
  }

  /** How many routes are in the snapshot; 0 without one. */
  countSnapshotRoutes(): number {
    return this.countInSnapshot("key LIKE 'routes %' AND text <> 'null'");
  }

  private countInSnapshot(condition: string): number {
    const { snapshot } = this;
    if (snapshot === null) return 0;
    const database = new DatabaseSync(snapshot, { readOnly: true });
    try {
      const count = database.prepare(`SELECT count(*) AS count FROM records WHERE ${condition}`);
      return (count.get() as { count: number }).count;
    } finally {
      database.close();
    }
  }

  /**
   * Runs a command with this home's configuration and waits for its end: in this process, because one of its own takes half
   * a second of CPU, unless it serves or depends on its process.
   */
  run(...args: readonly string[]): Promise<CommandResult> {
    const [command = ''] = args;
    // A routes file has its marks where the environment of the process says.
    const [isFile] = [this.read('config.json'), ...args].filter((text) => /\bfile:/.test(text));
    if (command === '' || command.startsWith('-') || isFile !== undefined) return this.runAlone(...args);
    return runHere([...args, '--config', this.path('config.json')], this.environment(process.env));
  }

  /** The same in a process of its own. */
  runAlone(...args: readonly string[]): Promise<CommandResult> {
    return runHipache([...args, '--config', this.path('config.json')], { env: this.environment(process.env) });
  }

  /** Like `run`, for a command that must succeed. */
  async route(...args: readonly string[]): Promise<string> {
    const result = await this.run('route', ...args);
    if (result.code !== 0) throw new Error(`route ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  /**
   * Starts a proxy and waits until it listens.
   * @param descriptorsMax default: the limit of this process.
   * @param path of the program; default: that of this checkout.
   */
  async serve(descriptorsMax?: number, path?: string): Promise<HipacheProcess> {
    const proxy = this.start([], descriptorsMax, path);
    await proxy.listening();
    return proxy;
  }

  /** Starts a proxy. @param before arguments for the program at `path` that precede those of Hipache. */
  start(
    args: readonly string[] = [],
    descriptorsMax?: number,
    path?: string,
    env?: NodeJS.ProcessEnv,
    before: readonly string[] = [],
  ): HipacheProcess {
    const all = [...before, '--config', this.path('config.json'), ...args];
    const proxy = new HipacheProcess(all, descriptorsMax, path, this.environment(env ?? process.env));
    this.running.push(proxy);
    return proxy;
  }

  /** The marks of a routes file, the snapshot, and the socket of the admin API are in this home as well. */
  private environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { STATE_DIRECTORY: this.path('state'), RUNTIME_DIRECTORY: this.path('run'), ...env };
  }

  /** Ends all processes, and removes the directory. */
  async remove(): Promise<void> {
    for (const proxy of this.running) await proxy.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A proxy in its own process. */
export class HipacheProcess {
  readonly child: ChildProcess;
  output = '';
  private exit: Promise<number | null>;

  /** @param path of the program; default: that of this checkout. */
  constructor(args: readonly string[], descriptorsMax?: number, path = program, env = process.env) {
    const limited = ['-c', `ulimit -n ${descriptorsMax}; exec "$0" "$@"`, path, ...args];
    const [command, commandArgs] = descriptorsMax === undefined ? [path, args] : ['sh', limited];
    this.child = spawn(command, commandArgs, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const add = (bytes: Buffer): void => {
      this.output += bytes.toString();
    };
    this.child.stdout?.on('data', add);
    this.child.stderr?.on('data', add);
    this.exit = new Promise((resolve) => this.child.once('close', resolve));
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** All primaries in the order of their start: one more after each upgrade. */
  get primaries(): readonly number[] {
    return [...this.output.matchAll(/ hipache \S+ starts pid=(\d+)/g)].map(([, pid]) => Number(pid));
  }

  /** Replaces the newest primary by the program that is on disk, and waits until that serves. @returns its process id. */
  async upgrade(): Promise<number> {
    const upgrades = (): number => this.output.split('the new program serves').length - 1;
    const before = upgrades();
    process.kill(this.primaries.findLast(isRunning) as number, 'SIGUSR2');
    await until('the new program', () => upgrades() > before);
    return this.primaries.at(-1) as number;
  }

  /** The port of the first listener, according to the log. */
  get port(): number {
    return Number(/listening on http:\/\/[^\s]*:(\d+)/.exec(this.output)?.[1] ?? 0);
  }

  /** The port of the first TLS listener. Its line of the log follows that of the plain one, maybe in a later read. */
  async tlsPort(): Promise<number> {
    const port = (): number => Number(/listening on https:\/\/[^\s]*:(\d+)\n/.exec(this.output)?.[1] ?? 0);
    await until('the TLS port', () => port() > 0);
    return port();
  }

  async listening(): Promise<void> {
    await until('the proxy to listen', () => this.port > 0 || this.child.exitCode !== null);
    if (this.port === 0) throw new Error(`the proxy ended: ${this.output}`);
  }

  /** Highest peak of resident memory among the workers, in bytes. */
  get residentBytesMax(): number {
    const statuses = workerPids(this.pid).map((pid) => readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Math.max(...statuses.map((status) => Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The exit code; null if a signal ended it. With upgrades: once the last process has ended. */
  ended(): Promise<number | null> {
    return this.exit;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    // Successors of the first process are no children of this one.
    for (const pid of this.primaries.slice(1)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    await this.exit;
  }
}

async function runHere(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([stdout, stderr].map((stream) => stream.setEncoding('utf8').toArray()));
  const refuse = (): never => {
    throw new Error('a test serves in a process of its own');
  };
  const host = { serve: refuse, check: refuse, openStore, stdin: Readable.from([]), stdout, stderr, env };
  const code = await runCommandLine(args, { ...host, cwd: process.cwd() });
  stdout.end();
  stderr.end();
  const [out = [], err = []] = await texts;
  return { code, stdout: out.join(''), stderr: err.join('') };
}

export async function runHipache(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<CommandResult> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}
