/** Time, injected where it matters so that tests can set it. */
export interface Clock {
  /** Milliseconds since an arbitrary start, with fractions, never going back: for durations and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since the epoch: for what other processes read. */
  epochMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  epochMs: () => Date.now(),
};
