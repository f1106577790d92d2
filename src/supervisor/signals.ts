/** Exit codes of a process that a signal ended, as shells count them. */
const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * SIGUSR1 asks for the log files to be opened again. To be called early: until then the signal makes Node open its
 * debugger.
 */
export function onReopenSignal(reopen: () => void): void {
  process.on('SIGUSR1', reopen);
}

/**
 * Resolves when `stop`, called at the first SIGTERM or SIGINT, has finished; a second signal ends the process at once.
 */
export function untilStopped(stop: (signal: NodeJS.Signals) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(128 + signalNumbers[signal as keyof typeof signalNumbers]);
      stopping = true;
      stop(signal).then(resolve, reject);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
