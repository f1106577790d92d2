import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';

export interface LookupQueueOptions {
  /** Lookups under way at once. */
  readonly parallelMax: number;
  /** Lookups of names that nothing is known of: in a second, and at once after a pause. */
  readonly perSecondMax: number;
  /** Lookups that wait for their turn. Further ones are refused. */
  readonly waitingMax: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly setTimer: SetTimer;
}

/** A lookup that waits. */
interface WaitingLookup {
  begin(): void;
}

/** Sums of many small gains may lack so much. */
const rounding = 1e-6;

/**
 * The turns of lookups. Clients can choose any names: those that nothing is known of have only so many turns in a second,
 * and come after those that are only checked again.
 */
export class LookupQueue {
  private readonly options: LookupQueueOptions;
  private readonly known = new Set<WaitingLookup>();
  private readonly unknown = new Set<WaitingLookup>();
  private underWay = 0;
  private tokens: number;
  private atMs: number;
  private cancel: (() => void) | null = null;

  constructor(options: LookupQueueOptions) {
    this.options = options;
    this.tokens = options.perSecondMax;
    this.atMs = options.clock.monotonicMs();
  }

  get waiting(): number {
    return this.known.size + this.unknown.size;
  }

  /**
   * Resolves once a lookup may begin, which `ended` must follow.
   * @param isKnown whether the name is known, and only has to be checked again.
   * @param waitMs 0: at once or not at all.
   * @returns false if it may not: too many wait, or its turn has not come in time.
   */
  turn(isKnown: boolean, waitMs: number): Promise<boolean> {
    const queue = isKnown ? this.known : this.unknown;
    if (queue.size === 0 && this.mayBegin(isKnown)) {
      this.begin(isKnown);
      return Promise.resolve(true);
    }
    if (waitMs === 0 || queue.size >= this.options.waitingMax) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.options.setTimer(waitMs, () => {
      queue.delete(waiting);
      resolve(false);
    });
    const waiting: WaitingLookup = {
      begin: () => {
        cancel();
        resolve(true);
      },
    };
    queue.add(waiting);
    this.beginNext();
    return promise;
  }

  ended(): void {
    this.underWay--;
    this.beginNext();
  }

  private beginNext(): void {
    for (const isKnown of [true, false]) {
      const queue = isKnown ? this.known : this.unknown;
      for (const next of queue) {
        if (!this.mayBegin(isKnown)) break;
        queue.delete(next);
        this.begin(isKnown);
        next.begin();
      }
    }
    if (this.unknown.size > 0 && this.underWay < this.options.parallelMax) this.beginLater();
  }

  private mayBegin(isKnown: boolean): boolean {
    if (this.underWay >= this.options.parallelMax) return false;
    return isKnown || (this.known.size === 0 && this.refilled() >= 1 - rounding);
  }

  private begin(isKnown: boolean): void {
    this.underWay++;
    if (!isKnown) this.tokens--;
  }

  private refilled(): number {
    const { clock, perSecondMax } = this.options;
    const nowMs = clock.monotonicMs();
    this.tokens = Math.min(perSecondMax, this.tokens + ((nowMs - this.atMs) * perSecondMax) / 1000);
    this.atMs = nowMs;
    return this.tokens;
  }

  private beginLater(): void {
    const missing = Math.max(0, 1 - this.tokens);
    this.cancel ??= this.options.setTimer(Math.ceil((missing * 1000) / this.options.perSecondMax), () => {
      this.cancel = null;
      this.beginNext();
    });
  }
}
