import type { Clock } from '../base/clock.ts';

/** A token bucket: lets so many pass in a second, evenly, and no more at once than in one. */
export class Pace {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private tokens = 1;
  /** Monotonic ms at which `tokens` was right. */
  private atMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.clock = clock;
    this.atMs = clock.monotonicMs();
  }

  /** Only one may pass at once from now on. */
  begin(): void {
    this.tokens = 1;
    this.atMs = this.clock.monotonicMs();
  }

  /** @param perSecond may be infinite. @returns whether one may pass; it then has. */
  take(perSecond: number): boolean {
    if (perSecond === Number.POSITIVE_INFINITY) return true;
    const nowMs = this.clock.monotonicMs();
    this.tokens = Math.min(perSecond, this.tokens + ((nowMs - this.atMs) / 1000) * perSecond);
    this.atMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
