/** Time, injected if it matters, so that tests can control it. */
export interface Clock {
  /** Milliseconds since an arbitrary start, with fractions; never goes back. For durations and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since the epoch. For values that other processes read. */
  epochMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  epochMs: () => Date.now(),
};
