import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';
import { type LoadSummary, loadText, parseLoad, sumLoads, summarize } from '../telemetry/load-summary.ts';

/** Of one summary, in ms. */
const windowMs = 10_000;
/** An hour. */
const keptMax = 360;
/** How long the others count after they were heard of, in ms: as long as the store keeps their records. */
const heardForMs = 30_000;
/** Instances that are summed, at most. */
const instancesMax = 1000;

/** The values of the metrics of this instance, and the memory of the primary. */
export interface LoadReading {
  readonly values: Readonly<Record<string, number>>;
  readonly primaryBytes: number;
}

export interface LoadHistoryParts {
  /** Asks the workers. */
  readonly read: () => Promise<LoadReading>;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
}

/** The load of the fleet in each window of the last hour, as far as this instance has heard of the others. */
export class LoadHistory {
  private readonly parts: LoadHistoryParts;
  private readonly kept: LoadSummary[] = [];
  private before: LoadReading['values'] | null = null;
  private lastMs: number;
  private own: LoadSummary | null = null;
  /** Those of the other instances, and when they were heard of last, in monotonic ms. */
  private others: readonly LoadSummary[] = [];
  private heardMs = 0;
  private isClosed = false;
  private cancel: () => void = () => {};

  constructor(parts: LoadHistoryParts) {
    this.parts = parts;
    this.lastMs = parts.clock.monotonicMs();
    this.later();
  }

  /** Of this instance, for the others; empty before the first. */
  get text(): string {
    return this.own === null ? '' : loadText(this.own);
  }

  /** @param texts of the other instances. */
  heard(texts: readonly string[]): void {
    this.others = texts
      .slice(0, instancesMax)
      .map(parseLoad)
      .filter((load) => load !== null);
    this.heardMs = this.parts.clock.monotonicMs();
  }

  /** The windows that end after `afterMs` (epoch ms), the oldest first. */
  since(afterMs: number): readonly LoadSummary[] {
    return this.kept.filter(({ atMs }) => atMs > afterMs);
  }

  close(): void {
    this.isClosed = true;
    this.cancel();
  }

  private later(): void {
    if (!this.isClosed) this.cancel = this.parts.setTimer(windowMs, () => void this.turn());
  }

  private async turn(): Promise<void> {
    const { clock, read } = this.parts;
    try {
      const { primaryBytes, values } = await read();
      const nowMs = clock.monotonicMs();
      const seconds = (nowMs - this.lastMs) / 1000;
      const atMs = Math.round(clock.epochMs());
      this.own = summarize(this.before, values, { atMs, seconds, primaryBytes });
      this.before = values;
      this.lastMs = nowMs;
      const others = nowMs - this.heardMs > heardForMs ? [] : this.others;
      this.kept.push(sumLoads(atMs, seconds, [this.own, ...others]));
      if (this.kept.length > keptMax) this.kept.shift();
    } catch {
      // The next window has these counts as well.
    } finally {
      this.later();
    }
  }
}
