import type { LookupListener, NameAnswer, NameFailure, NameLookup } from './answer.ts';
import type { LookupSlots, SlotUser } from './lookup-slots.ts';
import type { EntryLookup, NameEntry } from './name-entry.ts';

/** Totals, for metrics. */
export interface NameCounters {
  /** Lookups that queried name servers. */
  lookups: number;
  /** Those of them that failed. */
  failures: number;
  /** Those that were cancelled because nobody waited any longer. */
  cancelled: number;
  /** Lookups and watches refused because of a limit. */
  rejected: number;
}

/** One lookup of an entry: local files first, then a slot, then the name servers. */
export class RunningLookup implements EntryLookup, SlotUser {
  readonly isSlow: boolean;
  readonly startedMs: number;
  private readonly name: string;
  private readonly lookup: NameLookup;
  private readonly slots: LookupSlots;
  private readonly totals: NameCounters;
  private readonly listener: LookupListener;
  private cancelQuery: (() => void) | null = null;
  private isOver = false;

  constructor(
    entry: NameEntry,
    lookup: NameLookup,
    slots: LookupSlots,
    totals: NameCounters,
    nowMs: number,
    listener: LookupListener,
  ) {
    this.isSlow = entry.timeouts > 0;
    this.name = entry.name;
    this.lookup = lookup;
    this.slots = slots;
    this.totals = totals;
    this.startedMs = nowMs;
    this.listener = listener;
    lookup.local(entry.name).then(
      (answer) => this.afterLocal(answer),
      () => this.afterLocal(null),
    );
  }

  stop(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.cancelQuery !== null) {
      this.totals.cancelled++;
      this.cancelQuery();
    }
    this.slots.release(this);
  }

  start(): void {
    this.totals.lookups++;
    this.cancelQuery = this.lookup.query(this.name, {
      found: (answer) => this.end(() => this.listener.found(answer)),
      failed: (failure) => {
        if (!this.isOver) this.totals.failures++;
        this.end(() => this.listener.failed(failure));
      },
    });
  }

  private afterLocal(answer: NameAnswer | null): void {
    if (this.isOver) return;
    if (answer !== null) {
      this.end(() => this.listener.found(answer));
    } else if (!this.slots.take(this)) {
      this.totals.rejected++;
      const failure: NameFailure = { code: 'OVERLOADED', message: 'too many names wait to be looked up' };
      this.end(() => this.listener.failed(failure));
    }
  }

  private end(report: () => void): void {
    if (this.isOver) return;
    this.isOver = true;
    this.slots.release(this);
    report();
  }
}
