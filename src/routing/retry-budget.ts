/** How much may be sent again for one host. */
export interface RetryBudgetLimits {
  /** Share of the requests of the window that may be retries, 0 to 1. */
  readonly ratio: number;
  /** Retries that are always allowed in a window, so that a host with few requests can retry at all. */
  readonly retriesMin: number;
  /** Length of one of the two buckets, in ms: the window is one to two of them long. */
  readonly bucketMs: number;
}

/** Retries are at most 20 % of the requests of the last 10 to 20 s, or 10 where that is more. */
export const defaultRetryBudget: RetryBudgetLimits = { ratio: 0.2, retriesMin: 10, bucketMs: 10_000 };

/**
 * Counts the requests and retries of one host in this worker, in two buckets, so that an outage is not amplified:
 * without it every request to a failing host would become `retryOnError` + 1. Belongs to the pattern, and outlives
 * edits of its record. Times are of one clock that may be any, but should not go back; if it does, counting starts
 * anew.
 */
export class RetryBudget {
  private bucket = 0;
  private requests = 0;
  private retries = 0;
  private requestsBefore = 0;
  private retriesBefore = 0;

  /** Counts a request as it arrives; a retry is not one. */
  countRequest(nowMs: number, limits: RetryBudgetLimits = defaultRetryBudget): void {
    this.turn(nowMs, limits.bucketMs);
    this.requests++;
  }

  /** Whether one more retry is within the budget; if so it is counted. */
  takeRetry(nowMs: number, limits: RetryBudgetLimits = defaultRetryBudget): boolean {
    this.turn(nowMs, limits.bucketMs);
    const allowed = Math.max(limits.retriesMin, limits.ratio * (this.requests + this.requestsBefore));
    if (this.retries + this.retriesBefore + 1 > allowed) return false;
    this.retries++;
    return true;
  }

  private turn(nowMs: number, bucketMs: number): void {
    const bucket = Math.floor(nowMs / bucketMs);
    if (bucket === this.bucket) return;
    const next = bucket === this.bucket + 1;
    this.requestsBefore = next ? this.requests : 0;
    this.retriesBefore = next ? this.retries : 0;
    this.requests = 0;
    this.retries = 0;
    this.bucket = bucket;
  }
}
