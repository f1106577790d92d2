import { BackOff } from '../base/back-off.ts';
import type { SetTimer } from '../base/timer.ts';

/** Pauses before failed patterns are read again. */
const pauses = { firstMs: 100, longestMs: 5000 };
/** Patterns that are read again at the same time. */
const triesMax = 1000;

/** Patterns whose reading failed. They are read again with growing pauses. The cache's entries bound their number. */
export class RetryLater {
  private readonly setTimer: SetTimer;
  private readonly retry: (pattern: string) => boolean;
  private readonly failures = new Set<string>();
  /** Patterns that are being read again. */
  private readonly trying = new Set<string>();
  private readonly pauses = new BackOff(pauses);
  private cancel: (() => void) | null = null;

  /** @param retry starts to read a pattern; false if it is not needed any more. */
  constructor(setTimer: SetTimer, retry: (pattern: string) => boolean) {
    this.setTimer = setTimer;
    this.retry = retry;
  }

  failed(pattern: string): void {
    this.trying.delete(pattern);
    this.failures.add(pattern);
    this.schedule();
  }

  succeeded(pattern: string): void {
    const failed = this.failures.delete(pattern);
    // The success of a pattern that never failed says nothing about those that did.
    if (this.trying.delete(pattern) || failed) this.pauses.reset();
  }

  /** The pattern failed and is not needed any more. */
  forget(pattern: string): void {
    this.trying.delete(pattern);
    this.failures.delete(pattern);
  }

  /** Tries all failed patterns now: the store is likely to be there. */
  retryNow(): void {
    this.pauses.reset();
    this.stop();
    this.run();
  }

  close(): void {
    this.failures.clear();
    this.trying.clear();
    this.stop();
  }

  private schedule(): void {
    if (this.cancel !== null) return;
    this.cancel = this.setTimer(this.pauses.next(), () => {
      this.cancel = null;
      this.run();
    });
  }

  private run(): void {
    let tries = 0;
    for (const pattern of this.failures) {
      if (tries++ >= triesMax) break;
      this.failures.delete(pattern);
      if (this.retry(pattern)) this.trying.add(pattern);
    }
    if (this.failures.size > 0) this.schedule();
  }

  private stop(): void {
    this.cancel?.();
    this.cancel = null;
  }
}
