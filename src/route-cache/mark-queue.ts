import type { Backend, DownMark } from '../routing/backend.ts';
import type { MarkCollection } from '../stores/contract.ts';

/** Marks on their way to the store at once. */
const underWayMax = 8;
/** Marks that wait; further ones are not shared. */
const waitingMax = 1000;

interface PendingMark {
  readonly pattern: string;
  readonly backend: Backend;
}

/**
 * Shares this worker's marks through the store, behind the requests that set them. Never throws, waits for nobody: a
 * mark that cannot be shared stays in this worker until it ends.
 */
export class MarkQueue {
  readonly #marks: Pick<MarkCollection, 'write'>;
  readonly #nextSequence: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #waiting = new Map<string, PendingMark>();
  #underWay = 0;
  /** Marks that were not shared since too many waited. */
  dropped = 0;

  /** @param nextSequence numbers the moment of an acknowledgement among the readings of the cache. */
  constructor(marks: Pick<MarkCollection, 'write'>, nextSequence: () => number, onError: (error: unknown) => void) {
    this.#marks = marks;
    this.#nextSequence = nextSequence;
    this.#onError = onError;
  }

  /** Shares the mark that `backend` has when its turn comes; asking again meanwhile costs nothing. */
  share(pattern: string, backend: Backend): void {
    const key = `${pattern} ${backend.url}`;
    if (!this.#waiting.has(key) && this.#waiting.size >= waitingMax) {
      this.dropped++;
      return;
    }
    this.#waiting.set(key, { pattern, backend });
    this.#pump();
  }

  #pump(): void {
    for (const [key, { pattern, backend }] of this.#waiting) {
      if (this.#underWay >= underWayMax) return;
      this.#waiting.delete(key);
      const mark = backend.down;
      if (mark !== null) this.#write(pattern, backend, mark);
    }
  }

  #write(pattern: string, backend: Backend, mark: DownMark): void {
    this.#underWay++;
    Promise.try(() => this.#marks.write(pattern, backend.url, mark))
      .then(() => {
        // Only if it is still this mark: a later one has its own acknowledgement.
        if (backend.down === mark) backend.markSharedAt = this.#nextSequence();
      })
      .catch(this.#onError)
      .finally(() => {
        this.#underWay--;
        this.#pump();
      });
  }
}
