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
 * Handles signals until `stop` or `upgrade` has finished. Call it early: until then, SIGUSR1 makes Node open its
 * debugger, and the other signals end the process.
 */
export function untilStopped(tasks: SignalTasks): Promise<void> {
  process.on('SIGUSR1', () => tasks.reopenLogs());
  return new Promise((resolve, reject) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) {
        tasks.abort();
        process.exit(128 + signalNumbers[signal as keyof typeof signalNumbers]);
      }
      stopping = true;
      tasks.stop(signal).then(resolve, reject);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGHUP', () => {
      if (!stopping) tasks.reload();
    });
    process.on('SIGUSR2', () => {
      if (stopping) return;
      tasks.upgrade().then((isOver) => {
        if (isOver) resolve();
      }, reject);
    });
  });
}
