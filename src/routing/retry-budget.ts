/** How many retries one host may make. */
export interface RetryBudgetLimits {
  /** Share of the window's requests that may be retries, 0 to 1. */
  readonly ratio: number;
  /** Retries always allowed in a window, so that a host with few requests can retry at all. */
  readonly retriesMin: number;
  /** Length of one of the two buckets, in ms: the window is one to two buckets long. */
  readonly bucketMs: number;
}

/** Retries are limited to 20 % of the requests of the last 10 to 20 s, or to 10 if that is more. */
export const defaultRetryBudget: RetryBudgetLimits = { ratio: 0.2, retriesMin: 10, bucketMs: 10_000 };

/**
 * Counts one host's requests and retries in this worker, in two buckets, so that retries do not amplify an outage:
 * without a budget, every request to a failing host would become `retryOnError` + 1. It belongs to the pattern and
 * outlives edits of the record. Times can be of any clock that does not go back; if it does, counting restarts.
 */
export class RetryBudget {
  private bucket = 0;
  private requests = 0;
  private retries = 0;
  private requestsBefore = 0;
  private retriesBefore = 0;

  /** Counts an arriving request; a retry is not one. */
  countRequest(nowMs: number, limits: RetryBudgetLimits = defaultRetryBudget): void {
    this.turn(nowMs, limits.bucketMs);
    this.requests++;
  }

  /** Whether one more retry is within the budget; if so, it is counted. */
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
