/** Limits how often something is done: so many times a second on average, and as many at once. */
export class ReadBudget {
  private readonly perSecond: number;
  private left: number;
  private refilledMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.left = perSecond;
  }

  /** @returns whether it may be done once more. */
  take(nowMs: number): boolean {
    const passedMs = Math.max(0, nowMs - this.refilledMs);
    this.left = Math.min(this.perSecond, this.left + (passedMs * this.perSecond) / 1000);
    this.refilledMs = nowMs;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }
}
