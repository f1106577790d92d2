import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './until.ts';

/** How servers say that another process has their port; the latter words are those of gunicorn. */
const takenPort = /address already in use|EADDRINUSE|connection in use:/i;
/** Characters of the output in the message of a failure. */
const outputMax = 5000;

interface ServerProcessOptions {
  /** Whether the processes that it has started end with it: some outlive it, and use a processor. Default false. */
  readonly withChildren?: boolean;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A server that is not ours, in a process of its own. */
export class ServerProcess {
  /** All that it has written. */
  output = '';
  private readonly program: string;
  private readonly child: ChildProcess;
  private readonly closed: Promise<void>;
  private readonly exited: Promise<void>;
  private readonly withChildren: boolean;
  private isStarting = true;
  private hasEnded = false;
  /** It has ended, or lacks its port: some try for seconds to get it, and ZooKeeper for ever. */
  private readonly failed = Promise.withResolvers<false>();

  constructor(
    [program, ...args]: readonly [string, ...string[]],
    { withChildren = false, ...options }: ServerProcessOptions = {},
  ) {
    this.program = program;
    this.withChildren = withChildren;
    // A group of their own, by which they can be ended together.
    const child = spawn(program, args, { ...options, detached: withChildren, stdio: ['ignore', 'pipe', 'pipe'] });
    const add = (text: string): void => {
      this.output += text;
      if (this.isStarting && this.lacksPort) this.failed.resolve(false);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', add);
    child.once('error', ({ message }) => add(message));
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    // After `exit`, its last words may still be on their way.
    this.closed = new Promise((resolve) => {
      child.once('close', () => {
        this.hasEnded = true;
        this.failed.resolve(false);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * Waits until it is ready.
   * @throws {ServerFailure} if it ends, if another process has its port, and after `forMs` (default: that of `until`).
   */
  async ready(isReady: () => boolean | Promise<boolean>, forMs?: number): Promise<void> {
    // Another process at its port may leave a question open: the failure ends the wait for the answer.
    const answer = () => Promise.race([isReady(), this.failed.promise]);
    try {
      await until(`${this.program} to serve`, async () => this.hasFailed || (await answer()), forMs);
    } catch (error) {
      throw new ServerFailure(`${String(error)}: ${this.output.slice(-outputMax)}`, false);
    }
    this.isStarting = false;
    if (!this.hasFailed) return;
    throw new ServerFailure(`${this.program} did not start: ${this.output.slice(-outputMax)}`, this.lacksPort);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it, also if it is suspended. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.hasEnded) {
      this.child.kill(signal);
      if (signal !== 'SIGKILL') this.child.kill('SIGCONT');
    }
    await this.exited;
    if (this.withChildren) this.endGroup();
    await this.closed;
  }

  /** Ends the processes that it has left behind. */
  private endGroup(): void {
    // 0 would be the group of this process.
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // There are none.
    }
  }

  private get hasFailed(): boolean {
    return this.hasEnded || this.lacksPort;
  }

  private get lacksPort(): boolean {
    return takenPort.test(this.output);
  }
}

/** Why a server did not start, with its output. */
export class ServerFailure extends Error {
  readonly isPortTaken: boolean;

  constructor(message: string, isPortTaken: boolean) {
    super(message);
    this.isPortTaken = isPortTaken;
  }
}
