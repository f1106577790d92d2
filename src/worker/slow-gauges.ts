import type { Clock } from '../base/clock.ts';

/** Between two looks, in ms: one costs a pass over the whole route cache. */
const lookMs = 5000;

/** Gauges of a worker that are too costly for every scrape, or need a period to be measured in. */
export class SlowGauges {
  /** Entries of the route cache that may be older than the store, at the last look. */
  unverified = 0;
  /** The longest delay of the event loop between the last two looks. */
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

  /** Looks again if the last look is old enough. */
  refresh(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.lookedMs < lookMs) return;
    this.lookedMs = nowMs;
    this.unverified = this.countUnverified();
    this.longestDelaySeconds = this.loopDelay.max / 1e9;
    this.loopDelay.reset();
  }
}
