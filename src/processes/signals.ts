/** Exit codes of a process that a signal ended, as shells count them. */
const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Tasks that an operator starts by a signal. */
export interface SignalTasks {
  /** The first SIGTERM or SIGINT. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** A second one, right before this process ends. */
  abort(): void;
  /** SIGHUP. */
  reload(): void;
  /** SIGUSR1. */
  reopenLogs(): void;
}

/**
 * Obeys signals; resolves when `stop` has finished. To be called early: until then SIGUSR1 makes Node open its
 * debugger, and the others end the process.
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
  });
}
