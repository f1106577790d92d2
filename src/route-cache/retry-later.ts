import type { SetTimer } from '../base/timer.ts';

/** First and longest wait before what failed is tried again, in ms; each wait is twice the one before. */
const delayFirstMs = 100;
const delayMaxMs = 5000;
/** Patterns that are tried at once. */
const triesMax = 1000;

/** Patterns whose reading failed, tried again with growing waits until it succeeds. Bounded by the cache's entries. */
export class RetryLater {
  readonly #setTimer: SetTimer;
  readonly #retry: (pattern: string) => boolean;
  readonly #failed = new Set<string>();
  /** Those that are being tried. */
  readonly #trying = new Set<string>();
  #delayMs = delayFirstMs;
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
    if (this.#trying.delete(pattern) || failed) this.#delayMs = delayFirstMs;
  }

  /** It failed, and nobody wants it any more. */
  forget(pattern: string): void {
    this.#trying.delete(pattern);
    this.#failed.delete(pattern);
  }

  /** There is reason to believe that it would succeed now. */
  now(): void {
    this.#delayMs = delayFirstMs;
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
    this.#cancel = this.#setTimer(this.#delayMs, () => {
      this.#cancel = null;
      this.#delayMs = Math.min(this.#delayMs * 2, delayMaxMs);
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
