import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface MemoryWatchOptions {
  /** Resident memory of this process, in bytes. */
  readonly bytesMax: number;
  readonly everyMs: number;
  readonly residentBytes: () => number;
  readonly collectGarbage: () => void;
  /** Called after every check that finds too much memory even after collecting garbage. */
  readonly onOver: (residentBytes: number) => void;
}

/** Periodically checks the memory of this process. */
export class MemoryWatch {
  private readonly timer: NodeJS.Timeout;

  constructor(options: MemoryWatchOptions) {
    this.timer = setInterval(() => look(options), options.everyMs);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }
}

function look({ bytesMax, residentBytes, collectGarbage, onOver }: MemoryWatchOptions): void {
  if (residentBytes() <= bytesMax) return;
  collectGarbage();
  const bytes = residentBytes();
  if (bytes > bytesMax) onOver(bytes);
}

let collector: (() => void) | null = null;

/** Runs a full garbage collection of this process. */
export function collectGarbage(): void {
  if (collector === null) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
  }
  collector();
}
