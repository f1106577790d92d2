import type { Clock } from './clock.ts';
import type { LogFields } from './log.ts';

const everyMs = 60_000;
/** Kinds that are remembered; beyond them, all are forgotten and may be logged again. */
const kindsMax = 1000;

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

  /** @param what one of a few fixed sentences. @param kindName what is counted separately; by default, each sentence. */
  report(what: string, fields: LogFields, kindName = what): void {
    const nowMs = this.clock.monotonicMs();
    const kind = this.kinds.get(kindName);
    if (kind !== undefined && nowMs - kind.reportedMs < everyMs) {
      kind.since++;
      return;
    }
    this.write(what, kind === undefined || kind.since === 0 ? fields : { ...fields, unreported: kind.since });
    if (this.kinds.size >= kindsMax) this.kinds.clear();
    this.kinds.set(kindName, { reportedMs: nowMs, since: 0 });
  }
}
