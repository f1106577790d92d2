import { setTimeout as delay } from 'node:timers/promises';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { NoteTexts } from './contract.ts';
import { noteName } from './note-name.ts';

/** How long a lease outlives its holder, in ms, and how often the holder renews it. */
const ttlMs = 15_000;
const renewEveryMs = ttlMs / 3;
/** Between two attempts to get a lease that another one has, in ms. */
const attemptEveryMs = 250;
/** Attempts in a row that may be refused while no holder can be read: one that has just ended explains one. */
const unknownHoldersMax = 4;

export interface LeaseOptions {
  readonly notes: NoteTexts;
  readonly name: string;
  /** Says whose the lease is, and is different for each holder. */
  readonly holder: string;
  /** Called if the lease is lost: another holder may have it by now. */
  readonly onLost: (error: Error) => void;
  readonly setTimer?: SetTimer;
}

/**
 * The right to do something alone in the fleet, until it is released, or its holder is gone for 15 s. Two holders at a time
 * are rare but possible, where clocks or the store stand still: what is done under a lease must bear that.
 */
export class Lease {
  private readonly options: LeaseOptions;
  private cancel: (() => void) | null = null;
  private isReleased = false;
  private failures = 0;

  private constructor(options: LeaseOptions) {
    this.options = options;
  }

  /**
   * Gets the lease, or waits for it.
   * @returns the lease; or the holder that has it, after `waitMs`; `unknown` if the store refuses it and shows none.
   * @throws errors of the store.
   */
  static async acquire(options: LeaseOptions, waitMs = 0): Promise<Lease | string> {
    const { holder, name, notes } = options;
    const endMs = performance.now() + waitMs;
    for (let unknown = 0; ; ) {
      if (await notes.write(noteName('lease', name), holder, { expected: null, ttlMs })) {
        const lease = new Lease(options);
        lease.renewLater();
        return lease;
      }
      const other = await notes.read(noteName('lease', name));
      if (other === null && ++unknown === unknownHoldersMax) return 'unknown';
      if (other !== null && performance.now() >= endMs) return other;
      await delay(attemptEveryMs);
    }
  }

  /** Gives it back. Idempotent. @throws errors of the store; it then ends by itself. */
  async release(): Promise<void> {
    if (this.isReleased) return;
    this.isReleased = true;
    this.cancel?.();
    const { holder, name, notes } = this.options;
    await notes.write(noteName('lease', name), null, { expected: holder });
  }

  private renewLater(): void {
    if (this.isReleased) return;
    const { setTimer = setRealTimer } = this.options;
    this.cancel = setTimer(renewEveryMs, () => {
      this.renew().then(
        () => {
          this.failures = 0;
        },
        (error: Error) => {
          // The lease has not ended yet: the store may be back in time.
          if (++this.failures * renewEveryMs >= ttlMs) this.lose(error);
          else this.renewLater();
        },
      );
    });
  }

  private async renew(): Promise<void> {
    const { holder, name, notes } = this.options;
    const isRenewed = await notes.write(noteName('lease', name), holder, { expected: holder, ttlMs });
    if (this.isReleased) return;
    if (isRenewed) this.renewLater();
    else this.lose(new Error(`the lease ${name} has ended`));
  }

  private lose(error: Error): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.options.onLost(error);
  }
}
