/** nghttp2, and with it Node and Apache, allows 1,000 at once and 33 a second, and ends the connection then (nodejs/node#56306). */
const savedMax = 400;
const perSecond = 20;

/** How many streams of a connection may be reset: fewer than the backends allow that count them. */
export class ResetAllowance {
  private left = savedMax;
  private refilledMs: number;

  constructor(nowMs: number) {
    this.refilledMs = nowMs;
  }

  /** @returns whether another connection can be spared. */
  take(nowMs: number): boolean {
    this.left = Math.min(savedMax, this.left + ((nowMs - this.refilledMs) * perSecond) / 1000);
    this.refilledMs = nowMs;
    return --this.left >= 0;
  }
}
