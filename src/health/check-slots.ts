/** A check that waits, or is under way. It must not reject. @param leave to be called once it turns out to be slow. */
type SlottedCheck = (leave: () => void) => Promise<void>;

/** Checks under way at once. */
export interface CheckSlotLimits {
  /** Of those that were not slow the last time. */
  readonly fast: number;
  /** Of those that were. */
  readonly slow: number;
  /** Of all together, with those that have turned out to be slow. More than `fast` and `slow` together. */
  readonly total: number;
}

/** A check under way. */
interface RunningCheck {
  /** Whether it counts among the slow ones. */
  isSlow: boolean;
}

/** Checks that wait. The patterns take turns, so that one with many backends delays no other. */
class CheckQueue {
  private readonly byPattern = new Map<string, Set<SlottedCheck>>();

  add(pattern: string, check: SlottedCheck): void {
    const checks = this.byPattern.get(pattern);
    if (checks === undefined) this.byPattern.set(pattern, new Set([check]));
    else checks.add(check);
  }

  delete(pattern: string, check: SlottedCheck): void {
    const checks = this.byPattern.get(pattern);
    if (checks?.delete(check) && checks.size === 0) this.byPattern.delete(pattern);
  }

  shift(): SlottedCheck | null {
    for (const [pattern, checks] of this.byPattern) {
      for (const check of checks) {
        checks.delete(check);
        this.byPattern.delete(pattern);
        if (checks.size > 0) this.byPattern.set(pattern, checks);
        return check;
      }
    }
    return null;
  }
}

/**
 * Bounds the checks under way. Slow ones have slots of their own, so that they delay no others. A check that turns out to be
 * slow leaves its slot, as soon as the total allows it: then no slow one begins until enough of them have ended.
 */
export class CheckSlots {
  private readonly limits: CheckSlotLimits;
  private readonly fastQueue = new CheckQueue();
  private readonly slowQueue = new CheckQueue();
  /** Checks that want to leave their slots. */
  private readonly leaving = new Set<RunningCheck>();
  private fast = 0;
  private slow = 0;

  constructor(limits: CheckSlotLimits) {
    this.limits = limits;
  }

  /**
   * Runs `check` once there is a slot.
   * @param isSlow whether it was slow the last time.
   * @returns a function that takes it back while it waits.
   */
  take(pattern: string, isSlow: boolean, check: SlottedCheck): () => void {
    const queue = isSlow ? this.slowQueue : this.fastQueue;
    queue.add(pattern, check);
    this.pump();
    return () => queue.delete(pattern, check);
  }

  private pump(): void {
    const { limits } = this;
    for (const check of this.leaving) {
      if (this.slow >= limits.total - limits.fast) break;
      this.leaving.delete(check);
      check.isSlow = true;
      this.fast--;
      this.slow++;
    }
    while (this.fast < limits.fast && this.begin(this.fastQueue.shift(), false));
    while (this.slow < limits.slow && this.begin(this.slowQueue.shift(), true));
  }

  private begin(check: SlottedCheck | null, isSlow: boolean): boolean {
    if (check === null) return false;
    const running: RunningCheck = { isSlow };
    if (isSlow) this.slow++;
    else this.fast++;
    const leave = (): void => {
      if (running.isSlow) return;
      this.leaving.add(running);
      this.pump();
    };
    void check(leave).finally(() => {
      this.leaving.delete(running);
      if (running.isSlow) this.slow--;
      else this.fast--;
      this.pump();
    });
    return true;
  }
}
