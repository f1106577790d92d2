// The processes that npm run demo starts.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './files.ts';

const stopMs = 6000;
const running = new Set<ChildProcess>();

/** One of the two applications: a process of its own, so that it can really die. Keeps its port. */
export class SampleApplication {
  readonly name: string;
  private port = 0;
  private child: ChildProcess | null = null;

  constructor(name: string) {
    this.name = name;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.child !== null;
  }

  /** Resolves once it listens. */
  async start(): Promise<void> {
    const script = join(import.meta.dirname, 'demo-app.ts');
    const child = startChild(process.execPath, [script, this.name, String(this.port)], ['pipe', 'pipe', 'inherit']);
    this.child = child;
    this.port = Number(await firstLine(child));
  }

  async kill(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** In a process group of its own, so that Ctrl-C reaches only the demo, which stops its children in order. */
export function startChild(program: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(program, args, { stdio, detached: true, cwd: root });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/** Asks every child to end, and ends those that do not. Resolves once all are gone. */
export async function stopChildren(): Promise<void> {
  const ends = [...running].map(async (child) => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(stopMs, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
  });
  await Promise.all(ends);
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.setEncoding('utf8');
  for await (const chunk of child.stdout ?? []) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  const [line = ''] = text.split('\n');
  if (line === '') throw new Error('a sample application has ended at once');
  return line;
}
