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

/**
 * A clock that stands still while an event is handled. A request asks for the time ten times, and where a look at the real clock is a
 * system call, those were a tenth of the JavaScript time of a small request. Not for code that waits within an event for time to pass.
 */
export class EventClock implements Clock {
  private readonly real: Clock;
  private monotonic = Number.NaN;
  private epoch = Number.NaN;
  private isRead = false;
  private readonly forget = (): void => {
    this.isRead = false;
    this.monotonic = Number.NaN;
    this.epoch = Number.NaN;
  };

  constructor(real: Clock = systemClock) {
    this.real = real;
  }

  monotonicMs(): number {
    if (Number.isNaN(this.monotonic)) {
      this.monotonic = this.real.monotonicMs();
      this.remember();
    }
    return this.monotonic;
  }

  epochMs(): number {
    if (Number.isNaN(this.epoch)) {
      this.epoch = this.real.epochMs();
      this.remember();
    }
    return this.epoch;
  }

  private remember(): void {
    if (this.isRead) return;
    this.isRead = true;
    queueMicrotask(this.forget);
  }
}
