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

/** Handles signals until `stop` or `upgrade` has finished. */
export class Signals {
  /** Resolves then. */
  readonly ended: Promise<void>;
  private readonly tasks: SignalTasks;
  private readonly resolve: () => void;
  private readonly reject: (error: Error) => void;
  private stopping = false;
  /** SIGTERM or SIGINT has reached this process. */
  private signalled = false;

  /** Call it early: until then, SIGUSR1 makes Node open its debugger, and the other signals end the process. */
  constructor(tasks: SignalTasks) {
    this.tasks = tasks;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.resolve = resolve;
    this.reject = reject;
    process.on('SIGUSR1', () => tasks.reopenLogs());
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.onSignal(signal));
    process.on('SIGHUP', () => {
      if (!this.stopping) tasks.reload();
    });
    process.on('SIGUSR2', () => {
      if (this.stopping) return;
      tasks.upgrade().then((isOver) => {
        if (isOver) resolve();
      }, reject);
    });
  }

  /**
   * Another process has had the signal. It may have been sent to this one too, and counts only once.
   * @param again a second one, which ends this process at once.
   */
  onElsewhere(signal: NodeJS.Signals, again: boolean): void {
    if (again) this.abort(signal);
    else this.stop(signal);
  }

  private onSignal(signal: NodeJS.Signals): void {
    if (this.signalled) this.abort(signal);
    this.signalled = true;
    this.stop(signal);
  }

  private stop(signal: NodeJS.Signals): void {
    if (this.stopping) return;
    this.stopping = true;
    this.tasks.stop(signal).then(this.resolve, this.reject);
  }

  private abort(signal: NodeJS.Signals): never {
    this.tasks.abort();
    process.exit(128 + signalNumbers[signal as keyof typeof signalNumbers]);
  }
}
