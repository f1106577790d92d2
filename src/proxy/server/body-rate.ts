/** Whether a request body comes fast enough, on average; time in which the client is not read does not count. */
export class BodyRate {
  /** Monotonic ms at which the body began, later by the time for which the client was paused. */
  private startMs = 0;
  private bytes = 0;
  private pausedAtMs = 0;

  begin(nowMs: number): void {
    this.startMs = nowMs;
    this.bytes = 0;
  }

  count(bytes: number): void {
    this.bytes += bytes;
  }

  paused(nowMs: number): void {
    this.pausedAtMs = nowMs;
  }

  /** The pause may have begun before the body did. */
  resumed(nowMs: number): void {
    this.startMs += nowMs - Math.max(this.pausedAtMs, this.startMs);
  }

  /** Monotonic ms at which the body is too slow, unless more of it comes. @param bytesPerSecondMin 0: never. */
  deadlineMs(graceMs: number, bytesPerSecondMin: number): number {
    if (bytesPerSecondMin === 0) return Number.POSITIVE_INFINITY;
    return this.startMs + Math.max(graceMs, (this.bytes / bytesPerSecondMin) * 1000);
  }
}
