import type { Log } from '../base/log.ts';

/** A process ended by a signal exits with 128 plus this number, as in shells. */
const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Tasks that operators start with signals. */
export interface SignalTasks {
  /** Runs on the first SIGTERM or SIGINT. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Runs on a second one, right before this process exits. */
  abort(): void;
  /** SIGHUP. */
  reload(): void;
  /** SIGUSR1. */
  reopenLogs(): void;
  /** SIGUSR2. @returns whether another process has taken over, and this one has finished. */
  upgrade(): Promise<boolean>;
}

/**
 * Handles signals from the start of the process until `stop` or `upgrade` has finished. Without a handler, SIGUSR1 makes
 * Node open its debugger, and the other signals end the process.
 */
export class Signals {
  /** Resolves then. */
  readonly ended: Promise<void>;
  private readonly log: Pick<Log, 'info' | 'warn'>;
  private readonly onEarlyStop: (signal: NodeJS.Signals) => void;
  private readonly resolve: () => void;
  private readonly reject: (error: Error) => void;
  /** Null until there is something that signals could concern. */
  private tasks: SignalTasks | null = null;
  private isServing = false;
  private stopping = false;
  /** SIGTERM or SIGINT has reached this process. */
  private signalled = false;

  /** @param onEarlyStop called on SIGTERM or SIGINT before there are tasks: nothing is to be finished then. */
  constructor(log: Pick<Log, 'info' | 'warn'>, onEarlyStop: (signal: NodeJS.Signals) => void) {
    this.log = log;
    this.onEarlyStop = onEarlyStop;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.resolve = resolve;
    this.reject = reject;
    process.on('SIGUSR1', () => {
      if (this.tasks === null) this.ignore('SIGUSR1');
      else this.tasks.reopenLogs();
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.onSignal(signal));
    process.on('SIGHUP', () => {
      if (this.tasks === null || !this.isServing) this.ignore('SIGHUP');
      else if (!this.stopping) this.tasks.reload();
    });
    process.on('SIGUSR2', () => {
      if (this.tasks === null || !this.isServing) this.ignore('SIGUSR2');
      else if (!this.stopping) this.upgrade(this.tasks);
    });
  }

  /** SIGTERM, SIGINT and SIGUSR1 start these tasks from now on. */
  follow(tasks: SignalTasks): void {
    this.tasks = tasks;
  }

  /** SIGHUP and SIGUSR2 do so from now on. */
  serving(): void {
    this.isServing = true;
  }

  /**
   * Another process has had the signal. It may have been sent to this one too, and counts only once.
   * @param again a second one, which ends this process at once.
   */
  onElsewhere(signal: NodeJS.Signals, again: boolean): void {
    if (again) this.abort(signal);
    else this.stop(signal);
  }

  private ignore(signal: NodeJS.Signals): void {
    if (!this.stopping) this.log.warn(`${signal} ignored: Hipache does not serve yet`);
  }

  private onSignal(signal: NodeJS.Signals): void {
    if (this.signalled) this.abort(signal);
    this.signalled = true;
    this.stop(signal);
  }

  private stop(signal: NodeJS.Signals): void {
    if (this.stopping) return;
    this.stopping = true;
    if (this.tasks === null) this.onEarlyStop(signal);
    else this.tasks.stop(signal).then(this.resolve, this.reject);
  }

  private upgrade(tasks: SignalTasks): void {
    tasks.upgrade().then((isOver) => {
      if (isOver) this.resolve();
    }, this.reject);
  }

  private abort(signal: NodeJS.Signals): never {
    this.tasks?.abort();
    process.exit(128 + signalNumbers[signal as keyof typeof signalNumbers]);
  }
}
