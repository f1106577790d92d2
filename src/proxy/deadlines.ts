/** Something that must make progress by a certain time. */
export interface Timed {
  /** Monotonic ms; Infinity for none. Can be set at any time: ticks read it, nothing is scheduled. */
  deadlineMs: number;
  /** Its index in the list of `Deadlines`; -1 while it is not listed. */
  deadlineSlot: number;
  /** The deadline has passed. May set a new one, or remove itself. */
  onDeadline(nowMs: number): void;
  /** Ends it at once: `onDeadline` threw, and would throw again at every tick. */
  destroy(): void;
}

/**
 * One coarse timer for every connection: moving a deadline is an assignment, and each tick scans the list. A deadline
 * is noticed up to one tick late, never early.
 */
export class Deadlines {
  /** Monotonic ms of the last tick: the time for code that runs too often to read the clock. */
  nowMs: number;
  private readonly list: Timed[] = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  add(timed: Timed): void {
    timed.deadlineSlot = this.list.length;
    this.list.push(timed);
  }

  remove(timed: Timed): void {
    const slot = timed.deadlineSlot;
    if (slot < 0) return;
    timed.deadlineSlot = -1;
    const last = this.list.pop();
    if (last === undefined || last === timed) return;
    this.list[slot] = last;
    last.deadlineSlot = slot;
  }

  /**
   * Calls everything that is due. Whatever throws is ended; the others are called anyway.
   * @param onInternalError receives the error.
   */
  tick(nowMs: number, onInternalError: (error: Error) => void): void {
    this.nowMs = nowMs;
    // Backwards: the entry that replaces a removed one has been visited already.
    for (let at = this.list.length - 1; at >= 0; at--) {
      const timed = this.list[at];
      if (timed === undefined || timed.deadlineMs > nowMs) continue;
      try {
        timed.onDeadline(nowMs);
      } catch (error) {
        onInternalError(error as Error);
        this.end(timed, onInternalError);
      }
    }
  }

  private end(timed: Timed, onInternalError: (error: Error) => void): void {
    this.remove(timed);
    try {
      timed.destroy();
    } catch (error) {
      onInternalError(error as Error);
    }
  }

  get size(): number {
    return this.list.length;
  }
}
