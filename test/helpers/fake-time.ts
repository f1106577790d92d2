import { setImmediate as turn } from 'node:timers/promises';

/** A clock that the test moves. */
export class FakeTime {
  nowMs = 1_000_000;
  private readonly timers = new Set<{ atMs: number; action: () => void }>();

  readonly clock = { epochMs: () => this.nowMs, monotonicMs: () => this.nowMs };

  readonly setTimer = (delayMs: number, action: () => void) => {
    const timer = { atMs: this.nowMs + delayMs, action };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  };

  get pending(): number {
    return this.timers.size;
  }

  async pass(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      await turn();
      const next = [...this.timers].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.timers.delete(next);
      this.nowMs = next.atMs;
      next.action();
    }
    this.nowMs = endMs;
  }
}
