import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from '../scripts/servers.ts';
import { processTree } from './usage.ts';

/** How long a process may take to end after SIGTERM, in ms. Then it is killed. */
const stopMsMax = 5000;
/** What is kept of the output of a program, in characters. */
const outputCharsMax = 4 * 1024 * 1024;

export interface StartOptions {
  /** The only core, or cores, that it, and all that it starts, may use. Default: all. */
  readonly core?: number | readonly number[];
  /** Runs only when nothing else wants the core (SCHED_IDLE): for what waits by spinning. Default false. */
  readonly idle?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** A server of the benchmark. */
export interface Running {
  readonly pid: number;
  readonly name: string;
  /** The exit code, null as long as it runs. */
  readonly exitCode: number | null;
  /** The last of what it wrote. */
  output(): string;
  stop(): Promise<void>;
}

/** Every process of a run: started on a core, and ended by its id, whatever happens. */
export class Processes {
  private readonly directory: string;
  private readonly children = new Set<ChildProcess>();
  private stopped = false;

  /** @param directory where the output of the servers is kept. */
  constructor(directory: string) {
    this.directory = directory;
    process.once('exit', () => this.killAll());
  }

  /** Starts a server; its output goes to a file. */
  start(name: string, command: readonly string[], options: StartOptions): Running {
    const path = join(this.directory, `${name}.out`);
    const file = openSync(path, 'a');
    const child = this.spawn(command, options, ['ignore', file, file]);
    closeSync(file);
    return {
      pid: pidOf(child, name),
      name,
      get exitCode() {
        return child.exitCode ?? (child.signalCode === null ? null : 1);
      },
      output: () => readFileSync(path, 'utf8').slice(-4000),
      stop: () => stop(child),
    };
  }

  /**
   * Runs a program to its end.
   * @returns its standard output.
   * @throws where it fails, with what it wrote, or takes longer than `msMax`.
   */
  async run(name: string, command: readonly string[], options: StartOptions, msMax: number): Promise<string> {
    const child = this.spawn(command, options, ['ignore', 'pipe', 'pipe']);
    pidOf(child, name);
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < outputCharsMax) output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (errors.length < outputCharsMax) errors += text;
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    const timeout = new AbortController();
    const late = delay(msMax, 'late' as const, { signal: timeout.signal }).catch(() => 'ended' as const);
    const result = await Promise.race([ended, late]);
    timeout.abort();
    if (result === 'late') {
      await stop(child);
      throw new Error(`${name}: did not end within ${msMax / 1000} s`);
    }
    if (result !== 0) throw new Error(`${name}: failed (${result ?? child.signalCode}): ${errors || output}`);
    return output;
  }

  /** Ends all, the last one first. Nothing is started after it. */
  async stopAll(): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.children].reverse().map(stop));
  }

  private spawn(
    command: readonly string[],
    options: StartOptions,
    stdio: ('ignore' | 'pipe' | number)[],
  ): ChildProcess {
    if (this.stopped) throw new Error('the run was stopped');
    const [program = '', ...args] = command;
    const path = program.includes('/') ? program : (findProgram(program) ?? program);
    const line = [
      ...(options.core === undefined ? [] : ['taskset', '-c', [options.core].flat().join(',')]),
      ...(options.idle ? ['chrt', '--idle', '0'] : []),
      path,
      ...args,
    ];
    const child = spawn(line[0] ?? '', line.slice(1), { stdio, env: { ...process.env, ...options.env } });
    child.on('error', () => {});
    this.children.add(child);
    child.once('close', () => this.children.delete(child));
    return child;
  }

  private killAll(): void {
    for (const child of this.children) {
      for (const pid of child.pid === undefined ? [] : processTree(child.pid)) kill(pid, 'SIGKILL');
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  kill(pid, 'SIGTERM');
  const timeout = new AbortController();
  const late = delay(stopMsMax, true, { signal: timeout.signal }).catch(() => false);
  if (await Promise.race([ended.then(() => false), late])) {
    for (const one of processTree(pid)) kill(one, 'SIGKILL');
    await ended;
  }
  timeout.abort();
}

function pidOf(child: ChildProcess, name: string): number {
  if (child.pid === undefined) throw new Error(`${name}: could not be started`);
  return child.pid;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
