import type { Clock } from './clock.ts';
import type { LogFields } from './log.ts';

const everyMs = 60_000;

/**
 * A log for events that can occur with every request: each kind is logged at most once a minute, with the number
 * suppressed since.
 */
export class RateLimitedLog {
  private readonly write: (what: string, fields: LogFields) => void;
  private readonly clock: Clock;
  private readonly kinds = new Map<string, { reportedMs: number; since: number }>();

  constructor(write: (what: string, fields: LogFields) => void, clock: Clock) {
    this.write = write;
    this.clock = clock;
  }

  /** @param what one of a few fixed sentences; each is counted separately. */
  report(what: string, fields: LogFields): void {
    const nowMs = this.clock.monotonicMs();
    const kind = this.kinds.get(what);
    if (kind !== undefined && nowMs - kind.reportedMs < everyMs) {
      kind.since++;
      return;
    }
    this.write(what, kind === undefined || kind.since === 0 ? fields : { ...fields, unreported: kind.since });
    this.kinds.set(what, { reportedMs: nowMs, since: 0 });
  }
}
