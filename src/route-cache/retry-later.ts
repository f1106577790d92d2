import { BackOff } from '../base/back-off.ts';
import type { SetTimer } from '../base/timer.ts';

/** Pauses before what failed is tried again. */
const pauses = { firstMs: 100, longestMs: 5000 };
/** Patterns that are tried at once. */
const triesMax = 1000;

/** Patterns whose reading failed, tried again with growing waits until it succeeds. Bounded by the cache's entries. */
export class RetryLater {
  readonly #setTimer: SetTimer;
  readonly #retry: (pattern: string) => boolean;
  readonly #failed = new Set<string>();
  /** Those that are being tried. */
  readonly #trying = new Set<string>();
  readonly #pauses = new BackOff(pauses);
  #cancel: (() => void) | null = null;

  /** @param retry begins to read a pattern; false where nobody wants it any more. */
  constructor(setTimer: SetTimer, retry: (pattern: string) => boolean) {
    this.#setTimer = setTimer;
    this.#retry = retry;
  }

  failed(pattern: string): void {
    this.#trying.delete(pattern);
    this.#failed.add(pattern);
    this.#schedule();
  }

  succeeded(pattern: string): void {
    const failed = this.#failed.delete(pattern);
    // The success of something that never failed says nothing about what did.
    if (this.#trying.delete(pattern) || failed) this.#pauses.reset();
  }

  /** It failed, and nobody wants it any more. */
  forget(pattern: string): void {
    this.#trying.delete(pattern);
    this.#failed.delete(pattern);
  }

  /** There is reason to believe that it would succeed now. */
  now(): void {
    this.#pauses.reset();
    this.#stop();
    this.#run();
  }

  close(): void {
    this.#failed.clear();
    this.#trying.clear();
    this.#stop();
  }

  #schedule(): void {
    if (this.#cancel !== null) return;
    this.#cancel = this.#setTimer(this.#pauses.next(), () => {
      this.#cancel = null;
      this.#run();
    });
  }

  #run(): void {
    let tries = 0;
    for (const pattern of this.#failed) {
      if (tries++ >= triesMax) break;
      this.#failed.delete(pattern);
      if (this.#retry(pattern)) this.#trying.add(pattern);
    }
    if (this.#failed.size > 0) this.#schedule();
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
