/** 102 and 103 per second, and in all: a long task may report its progress for hours (RFC 2518 section 10.1). */
const perSecond = 10;
const totalMax = 10_000;

/** Counts the informational responses before one response, so that a backend cannot send them without end. */
export class InformationalCount {
  /** All of them. */
  total = 0;
  /** Of other statuses than 102 and 103. */
  private others = 0;
  private refilledMs = 0;
  private left = 0;

  reset(): void {
    this.total = 0;
    this.others = 0;
  }

  /** @param burst how many may come at once, and of other statuses in all. @returns whether this one may pass. */
  count(status: number, nowMs: number, burst: number): boolean {
    if (this.total++ === 0) {
      this.left = burst;
      this.refilledMs = nowMs;
    }
    if (status !== 102 && status !== 103) return ++this.others <= burst;
    this.left = Math.min(burst, this.left + ((nowMs - this.refilledMs) * perSecond) / 1000);
    this.refilledMs = nowMs;
    return --this.left >= 0 && this.total <= totalMax;
  }
}
