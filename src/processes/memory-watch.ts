import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface MemoryWatchOptions {
  /** Resident memory of this process, in bytes. */
  readonly bytesMax: number;
  readonly everyMs: number;
  readonly residentBytes: () => number;
  readonly collectGarbage: () => void;
  /** Told at every look that finds too much, also after garbage was collected. */
  readonly onOver: (residentBytes: number) => void;
}

/** Looks now and then at how much memory the process has. */
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

/** Collects all garbage of this process now. */
export function collectGarbage(): void {
  if (collector === null) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
  }
  collector();
}
