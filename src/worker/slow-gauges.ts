import type { Clock } from '../base/clock.ts';

/** Time between two measurements, in ms: each visits the whole route cache. */
const lookMs = 5000;

/** A worker's gauges that are too costly for every scrape, or that measure a period. */
export class SlowGauges {
  /** Route cache entries that may be older than the store, at the last measurement. */
  unverified = 0;
  /** Longest event loop delay between the last two measurements. */
  longestDelaySeconds = 0;
  private readonly clock: Clock;
  private readonly countUnverified: () => number;
  private readonly loopDelay: { readonly max: number; reset(): void };
  private lookedMs = Number.NEGATIVE_INFINITY;

  /** @param loopDelay in nanoseconds, as `monitorEventLoopDelay` measures it. */
  constructor(clock: Clock, countUnverified: () => number, loopDelay: { readonly max: number; reset(): void }) {
    this.clock = clock;
    this.countUnverified = countUnverified;
    this.loopDelay = loopDelay;
  }

  /** Measures again if the last measurement is old enough. */
  refresh(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.lookedMs < lookMs) return;
    this.lookedMs = nowMs;
    this.unverified = this.countUnverified();
    this.longestDelaySeconds = this.loopDelay.max / 1e9;
    this.loopDelay.reset();
  }
}
