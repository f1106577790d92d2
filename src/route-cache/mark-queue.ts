import { type Backend, type DownMark, markReported } from '../routing/backend.ts';
import type { MarkCollection } from '../stores/contract.ts';

/** Marks that are written at the same time. */
const underWayMax = 8;
/** Marks that wait. Further ones are not shared. */
const waitingMax = 1000;

interface PendingMark {
  readonly pattern: string;
  readonly backend: Backend;
}

/**
 * Shares this worker's marks through the store, after the requests that set them. It never throws and makes no request
 * wait. A mark that cannot be shared holds in this worker until it ends.
 */
export class MarkQueue {
  private readonly marks: Pick<MarkCollection, 'write'>;
  private readonly nextSequence: () => number;
  private readonly onError: (error: unknown) => void;
  private readonly waiting = new Map<string, PendingMark>();
  private underWay = 0;
  /** Marks that were not shared because too many were waiting. */
  dropped = 0;

  /** @param nextSequence the next sequence number of the cache: it orders acknowledgements and readings. */
  constructor(marks: Pick<MarkCollection, 'write'>, nextSequence: () => number, onError: (error: unknown) => void) {
    this.marks = marks;
    this.nextSequence = nextSequence;
    this.onError = onError;
  }

  /** Queues the mark of `backend`. The mark that it has when its turn comes is shared. */
  share(pattern: string, backend: Backend): void {
    const key = `${pattern} ${backend.url}`;
    if (!this.waiting.has(key) && this.waiting.size >= waitingMax) {
      this.dropped++;
      return;
    }
    this.waiting.set(key, { pattern, backend });
    this.pump();
  }

  private pump(): void {
    for (const [key, { pattern, backend }] of this.waiting) {
      if (this.underWay >= underWayMax) return;
      this.waiting.delete(key);
      const mark = backend.down;
      if (mark !== null) this.write(pattern, backend, mark);
    }
  }

  private write(pattern: string, backend: Backend, mark: DownMark): void {
    this.underWay++;
    Promise.try(() => this.marks.write(pattern, backend.url, mark))
      .then((isKept) => {
        // A later mark has its own acknowledgement.
        if (backend.down === mark) backend.markSharedAt = isKept ? this.nextSequence() : markReported;
      })
      .catch(this.onError)
      .finally(() => {
        this.underWay--;
        this.pump();
      });
  }
}

/** A mark that is not shared yet. */
export function setMark(backend: Backend, mark: DownMark): void {
  backend.down = mark;
  backend.markSharedAt = Number.POSITIVE_INFINITY;
}
