import { type BackOffFigures, backOffMs } from '../base/back-off.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { NameAnswer, NameFailure, NameLookup, NameSource } from './answer.ts';
import { LookupSlots } from './lookup-slots.ts';
import { NameEntry, type NameWatcher, RegisteredWatch } from './name-entry.ts';
import { type NameCounters, RunningLookup } from './running-lookup.ts';

export interface NameLimits {
  /** Bounds of the lifetime of addresses. */
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
  /** How long a failure without last good addresses counts. */
  readonly negativeMs: number;
  /** How long the addresses of a name without watchers may be used if lookups fail. */
  readonly staleMs: number;
  /** How long a watcher waits for a lookup before it gets such addresses. */
  readonly staleWaitMs: number;
  /** Lookups at the same time, and waiting beyond them. */
  readonly lookupsMax: number;
  readonly waitingMax: number;
  readonly entriesMax: number;
}

export interface NameResolverOptions {
  readonly lookup: NameLookup;
  readonly log: Log;
  /** A watcher threw. The others are called all the same. */
  readonly onInternalError: (error: Error) => void;
  readonly limits?: Partial<NameLimits>;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
}

export interface NameWatch {
  /** Ends the watch. The watcher is not called any more. */
  close(): void;
}

export interface NameDescription {
  /** The last good ones; empty if none are known. */
  readonly addresses: readonly string[];
  readonly source: NameSource | null;
  /** 0 if they have expired and are kept because lookups fail. */
  readonly expiresInMs: number;
  /** Why the last lookup failed. */
  readonly problem: NameFailure | null;
}

const limitsDefault: NameLimits = {
  ttlMinMs: 1000,
  ttlMaxMs: 60_000,
  negativeMs: 1000,
  staleMs: 600_000,
  staleWaitMs: 500,
  lookupsMax: 256,
  waitingMax: 1000,
  entriesMax: 10_000,
};

/** Pauses before the last good addresses are refreshed again. */
const refreshPauses: BackOffFigures = { firstMs: 1000, longestMs: 30_000 };
/** Growth of `negativeMs` for a name whose lookups time out. */
const timeoutPausesFactorMax = 10;

/**
 * The addresses of names, for all who connect to them. It follows a name as long as it is watched, with one lookup at a
 * time, and keeps the last good addresses when lookups fail.
 */
export class NameResolver {
  readonly counters: Readonly<NameCounters>;
  private readonly totals: NameCounters = { lookups: 0, failures: 0, cancelled: 0, rejected: 0 };
  private readonly options: NameResolverOptions;
  private readonly limits: NameLimits;
  private readonly clock: Clock;
  private readonly setTimer: SetTimer;
  private readonly problemLog: RateLimitedLog;
  private readonly slots: LookupSlots;
  private readonly table = new Map<string, NameEntry>();
  /** The entries without watchers, in the order in which they lost the last one. */
  private readonly unwatched = new Set<NameEntry>();
  /** Watches that found the table full. */
  private readonly turnedAway = new Set<RegisteredWatch>();
  private cancelRetry: (() => void) | null = null;
  private isClosed = false;

  constructor(options: NameResolverOptions) {
    this.options = options;
    this.counters = this.totals;
    this.limits = { ...limitsDefault, ...options.limits };
    this.clock = options.clock ?? systemClock;
    this.setTimer = options.setTimer ?? setRealTimer;
    this.problemLog = new RateLimitedLog((what, fields) => options.log.warn(what, fields), this.clock);
    this.slots = new LookupSlots(this.limits.lookupsMax, this.limits.waitingMax);
  }

  /** Lookups that query name servers now. */
  get inFlight(): number {
    return this.slots.inUse;
  }

  get entries(): number {
    return this.table.size;
  }

  /**
   * Follows the addresses of a name, which is not an IP address. If they are known, or a failure is, the watcher is
   * called before this returns.
   */
  watch(name: string, watcher: NameWatcher): NameWatch {
    const watch = new RegisteredWatch(name.toLowerCase(), watcher);
    if (this.isClosed) this.tellFailed(watch, { code: 'ECANCELLED', message: 'the resolver is closed' });
    else this.register(watch);
    return { close: () => this.unregister(watch) };
  }

  /** The present state of a name; null if nothing is known of it. */
  describe(name: string): NameDescription | null {
    const entry = this.table.get(name.toLowerCase());
    if (entry === undefined) return null;
    const { addresses, source, problem, dueMs } = entry;
    const isValid = addresses !== null && problem === null;
    const expiresInMs = isValid ? Math.max(0, dueMs - this.clock.monotonicMs()) : 0;
    return { addresses: addresses ?? [], source, expiresInMs, problem };
  }

  /** Cancels all lookups. No watcher is called any more. */
  close(): void {
    this.isClosed = true;
    this.cancelRetry?.();
    this.turnedAway.clear();
    this.slots.clear();
    for (const entry of this.table.values()) {
      entry.stopTimers();
      for (const watch of entry.watches) watch.isClosed = true;
      entry.lookup?.stop();
      entry.lookup = null;
    }
    this.table.clear();
    this.unwatched.clear();
  }

  private register(watch: RegisteredWatch): void {
    const entry = this.entryOf(watch.name);
    if (entry === null) {
      this.turnAway(watch);
      return;
    }
    const nowMs = this.clock.monotonicMs();
    const isFirst = entry.watches.size === 0;
    if (isFirst && nowMs >= entry.staleUntilMs) entry.addresses = null;
    this.unwatched.delete(entry);
    watch.entry = entry;
    entry.watches.add(watch);
    const isDue = nowMs >= entry.dueMs;
    if (entry.addresses !== null) {
      // Watchers from before have them, or wait for the lookup as this one does.
      if (entry.isInUse || !isDue) this.give(entry, watch, entry.addresses);
    } else if (entry.problem !== null && !isDue) {
      this.tellFailed(watch, entry.problem);
    }
    this.arrange(entry);
  }

  private unregister(watch: RegisteredWatch): void {
    if (watch.isClosed) return;
    watch.isClosed = true;
    this.turnedAway.delete(watch);
    const { entry } = watch;
    if (entry === null) return;
    entry.watches.delete(watch);
    if (entry.watches.size === 0) this.abandon(entry);
  }

  /** Nobody watches the name any longer. */
  private abandon(entry: NameEntry): void {
    const nowMs = this.clock.monotonicMs();
    entry.stopTimers();
    const { lookup } = entry;
    if (lookup !== null) {
      lookup.stop();
      entry.lookup = null;
      // Old addresses were used instead. If that did not count as a failure, each of the next watchers would wait again.
      const isOverdue = nowMs - lookup.startedMs >= this.limits.staleWaitMs;
      if (entry.isInUse && isOverdue)
        this.noteFailure(entry, { code: 'ETIMEOUT', message: 'the lookup took too long' });
    }
    if (entry.isInUse) entry.staleUntilMs = nowMs + this.limits.staleMs;
    entry.isInUse = false;
    if (entry.addresses === null && entry.failures === 0) this.table.delete(entry.name);
    else this.unwatched.add(entry);
  }

  /** The entry of a name, a new one if need be; null if all are watched and no further one is allowed. */
  private entryOf(name: string): NameEntry | null {
    const known = this.table.get(name);
    if (known !== undefined) return known;
    if (this.table.size >= this.limits.entriesMax) {
      const [oldest] = this.unwatched;
      if (oldest === undefined) return null;
      this.unwatched.delete(oldest);
      this.table.delete(oldest.name);
    }
    const entry = new NameEntry(name);
    this.table.set(name, entry);
    return entry;
  }

  private turnAway(watch: RegisteredWatch): void {
    this.totals.rejected++;
    this.turnedAway.add(watch);
    this.cancelRetry ??= this.setTimer(this.limits.negativeMs, () => {
      this.cancelRetry = null;
      const watches = [...this.turnedAway];
      this.turnedAway.clear();
      for (const again of watches) if (!again.isClosed && !this.isClosed) this.register(again);
    });
    this.tellFailed(watch, { code: 'OVERLOADED', message: `more than ${this.limits.entriesMax} names are in use` });
  }

  /** Sees to the next lookup of a watched name: now, or when it is due. */
  private arrange(entry: NameEntry): void {
    if (entry.watches.size === 0 || entry.lookup !== null || entry.cancelNext !== null || this.isClosed) return;
    const waitMs = entry.dueMs - this.clock.monotonicMs();
    if (waitMs <= 0) {
      this.begin(entry);
      return;
    }
    entry.cancelNext = this.setTimer(waitMs, () => {
      entry.cancelNext = null;
      this.begin(entry);
    });
  }

  private begin(entry: NameEntry): void {
    if (entry.addresses !== null && !entry.isInUse) {
      entry.cancelStaleWait = this.setTimer(this.limits.staleWaitMs, () => this.publish(entry));
    }
    entry.lookup = new RunningLookup(entry, this.options.lookup, this.slots, this.totals, this.clock.monotonicMs(), {
      found: (answer) => this.found(entry, answer),
      failed: (failure) => this.failed(entry, failure),
    });
  }

  private found(entry: NameEntry, answer: NameAnswer): void {
    const { ttlMinMs, ttlMaxMs, staleMs } = this.limits;
    const nowMs = this.clock.monotonicMs();
    entry.lookup = null;
    entry.take(answer);
    entry.dueMs = nowMs + Math.min(ttlMaxMs, Math.max(ttlMinMs, answer.ttlSeconds * 1000));
    entry.staleUntilMs = entry.dueMs + staleMs;
    this.publish(entry);
    this.arrange(entry);
  }

  private failed(entry: NameEntry, failure: NameFailure): void {
    entry.lookup = null;
    this.noteFailure(entry, failure);
    if (entry.addresses !== null) this.publish(entry);
    else for (const watch of [...entry.watches]) this.tellFailed(watch, failure);
    this.arrange(entry);
  }

  private noteFailure(entry: NameEntry, failure: NameFailure): void {
    entry.fail(failure);
    entry.dueMs = this.clock.monotonicMs() + this.pauseMs(entry);
    const fields = { name: entry.name, code: failure.code, problem: failure.message };
    if (entry.addresses === null) this.problemLog.report('the name of a backend cannot be resolved', fields);
    else this.problemLog.report('the name of a backend cannot be resolved again; its last addresses are used', fields);
  }

  private pauseMs(entry: NameEntry): number {
    const { negativeMs } = this.limits;
    if (entry.addresses !== null) return backOffMs(refreshPauses, entry.failures);
    const longestMs = negativeMs * timeoutPausesFactorMax;
    return entry.timeouts === 0 ? negativeMs : backOffMs({ firstMs: negativeMs, longestMs }, entry.timeouts);
  }

  /** Gives the addresses to all who watch and do not have them. */
  private publish(entry: NameEntry): void {
    const { addresses } = entry;
    if (addresses === null) return;
    entry.cancelStaleWait?.();
    entry.cancelStaleWait = null;
    for (const watch of [...entry.watches]) this.give(entry, watch, addresses);
  }

  private give(entry: NameEntry, watch: RegisteredWatch, addresses: readonly string[]): void {
    if (watch.given === addresses || watch.isClosed) return;
    entry.isInUse = true;
    watch.given = addresses;
    this.guarded(() => watch.watcher.onAddresses(addresses));
  }

  private tellFailed(watch: RegisteredWatch, failure: NameFailure): void {
    if (!watch.isClosed) this.guarded(() => watch.watcher.onFailed(failure));
  }

  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.options.onInternalError(error as Error);
    }
  }
}
