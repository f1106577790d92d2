import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';

/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How many may happen at once after a pause; at least 1. */
  readonly burst: number;
}

/** How many tokens one process has taken from a bucket. */
export type BucketUse = readonly [key: string, taken: number, perSecond: number, burst: number];

export interface RateBucketsOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly setTimer: SetTimer;
  /** Processes of this instance that have the same buckets. */
  readonly workers: number;
  /** Called with the uses that the other processes have to count as well. */
  readonly report: (uses: readonly BucketUse[]) => void;
}

interface TokenBucket {
  readonly rate: Rate;
  /** Below 0 if several processes have taken the last ones at the same time. */
  tokens: number;
  /** Monotonic ms at which `tokens` was right. */
  atMs: number;
  /** Taken here since the last report, or since this worker's part was full. */
  unreported: number;
  /** Left of this worker's part of the bucket. */
  part: number;
}

/** Buckets of one process. A full one is the same as none, so that only those in use need a place. */
const bucketsMax = 100_000;
/** Buckets that are looked at to find one that can go. */
const lookedAtMax = 64;
/** Sums of many small gains may lack so much. */
const rounding = 1e-6;
/** How long uses are collected before the other processes hear of them, in ms. */
const reportMs = 100;

/**
 * Token buckets by key. Every instance has its share of a rate. The workers of an instance each have the whole bucket of
 * it, decide alone and at once, and then take from theirs what the others have taken: too much for a tenth of a second is
 * paid back. A worker that uses no more than its own part of the bucket and of the rate reports nothing: if all do so, they
 * cannot exceed the limit together.
 */
export class RateBuckets {
  private readonly options: RateBucketsOptions;
  private readonly buckets = new Map<string, TokenBucket>();
  /** Keys whose uses are to be reported. */
  private readonly hot = new Set<string>();
  private cancel: (() => void) | null = null;
  private instances = 1;

  constructor(options: RateBucketsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.buckets.size;
  }

  /** Instances that share each rate, from now on. */
  share(instances: number): void {
    this.instances = Math.max(1, instances);
  }

  /** Takes a token. @returns 0, or in how many ms there will be one. */
  take(key: string, rate: Rate): number {
    const bucket = this.bucketOf(key, rate);
    if (bucket.tokens < 1 - rounding) return Math.ceil(((1 - bucket.tokens) / this.perSecond(rate)) * 1000);
    bucket.tokens = Math.max(0, bucket.tokens - 1);
    bucket.unreported++;
    bucket.part--;
    if (this.options.workers > 1 && bucket.part < 0) this.reportLater(key);
    return 0;
  }

  /** How many tokens there are now; below 0 if other processes have taken the last ones. */
  left(key: string, rate: Rate): number {
    return this.buckets.has(key) ? this.bucketOf(key, rate).tokens : this.capacity(rate);
  }

  /** Takes what other processes have taken. */
  debit(uses: readonly BucketUse[]): void {
    for (const [key, taken, perSecond, burst] of uses) {
      const known = this.buckets.get(key)?.rate;
      // A report that comes after a change of the rate.
      if (known !== undefined && (known.perSecond !== perSecond || known.burst !== burst)) continue;
      const bucket = this.bucketOf(key, { perSecond, burst });
      // Each has taken a whole bucket at most, and what came within a report: a greater debt is none of theirs.
      const debtMax = this.options.workers * this.capacity(bucket.rate) + this.perSecond(bucket.rate);
      bucket.tokens = Math.max(bucket.tokens - taken, -debtMax);
    }
  }

  close(): void {
    this.cancel?.();
    this.cancel = null;
  }

  private bucketOf(key: string, rate: Rate): TokenBucket {
    const nowMs = this.options.clock.monotonicMs();
    const capacity = this.capacity(rate);
    let bucket = this.buckets.get(key);
    if (bucket?.rate.perSecond !== rate.perSecond || bucket.rate.burst !== rate.burst) {
      // Of a bucket with another rate, the part that is spent stays spent.
      const share = bucket === undefined ? 1 : Math.min(1, bucket.tokens / this.capacity(bucket.rate));
      bucket = { rate, tokens: capacity * share, atMs: nowMs, unreported: 0, part: capacity / this.options.workers };
      if (this.buckets.size >= bucketsMax) this.makeRoom(nowMs);
      this.buckets.set(key, bucket);
      return bucket;
    }
    const gained = ((nowMs - bucket.atMs) / 1000) * this.perSecond(rate);
    bucket.tokens = Math.min(capacity, bucket.tokens + gained);
    bucket.atMs = nowMs;
    const partMax = capacity / this.options.workers;
    bucket.part = Math.min(partMax, bucket.part + gained / this.options.workers);
    if (bucket.part === partMax) bucket.unreported = 0;
    return bucket;
  }

  /** Of the oldest ones, drops those that are full by now, at least one. */
  private makeRoom(nowMs: number): void {
    let left = lookedAtMax;
    for (const [key, bucket] of this.buckets) {
      const { atMs, rate, tokens } = bucket;
      this.buckets.delete(key);
      const isFull = tokens + ((nowMs - atMs) / 1000) * this.perSecond(rate) >= this.capacity(rate);
      if (--left === 0) return;
      if (!isFull) this.buckets.set(key, bucket);
    }
  }

  private reportLater(key: string): void {
    this.hot.add(key);
    this.cancel ??= this.options.setTimer(reportMs, () => {
      this.cancel = null;
      this.report();
    });
  }

  private report(): void {
    const uses: BucketUse[] = [];
    for (const key of this.hot) {
      const bucket = this.buckets.get(key);
      if (bucket === undefined || bucket.unreported === 0) continue;
      uses.push([key, bucket.unreported, bucket.rate.perSecond, bucket.rate.burst]);
      bucket.unreported = 0;
      bucket.part = 0;
    }
    this.hot.clear();
    if (uses.length > 0) this.options.report(uses);
  }

  private perSecond({ perSecond }: Rate): number {
    return perSecond / this.instances;
  }

  private capacity({ burst }: Rate): number {
    return Math.max(1, burst / this.instances);
  }
}
