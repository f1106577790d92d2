import { createLog, type Log, type LogOptions } from './log.ts';
import { LogOutput } from './log-output.ts';

/** How long the end of the process waits for the reader of its log, in ms. */
const closeMs = 2000;

/** The log of a process that serves: on the standard output, which never delays it. */
export interface StandardLog {
  readonly log: Log;
  /**
   * Waits until the log is written, for up to 2 s. @returns false if its reader does not read. The process can then end
   * only by a signal, because Node would wait for the write: the next `process.exit` is a SIGKILL.
   */
  close(): Promise<boolean>;
}

export function standardLog(options: Pick<LogOptions, 'level' | 'format'>): StandardLog {
  const output = new LogOutput({
    onDropped: (lines) => log.warn('lines of the log were dropped, because its reader was too slow', { lines }),
  });
  const log = createLog({ ...options, write: (line) => output.write(line) });
  return {
    log,
    async close() {
      if (await output.close(closeMs)) return true;
      process.once('exit', () => process.kill(process.pid, 'SIGKILL'));
      return false;
    },
  };
}
