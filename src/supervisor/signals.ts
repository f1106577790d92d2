export interface SignalActions {
  /** SIGUSR1: open the log files again. */
  onReopen(): void;
  /** The first SIGTERM or SIGINT: finish; the process ends at once on a second one. */
  onStop(signal: NodeJS.Signals): Promise<void>;
}

/** Exit codes of a process that a signal ended, as shells count them. */
const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Follows the signals of Hipache until one asks to stop; resolves when `onStop` has finished. */
export function untilStopped(actions: SignalActions): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(128 + signalNumbers[signal as keyof typeof signalNumbers]);
      stopping = true;
      actions.onStop(signal).then(resolve, reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGUSR1', () => actions.onReopen());
  });
}
