import { type Clock, systemClock } from '../base/clock.ts';
import type { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import { mayBePacked } from '../routing/packed-frontend.ts';
import { coveringPatterns, isWildcard, patternsAfter } from '../routing/patterns.ts';
import type { ChangeListener, CollectionName, StoredRoute } from '../stores/contract.ts';
import { BackendMarks } from './backend-marks.ts';
import { CacheEntry, entrySize, ownCopy } from './cache-entry.ts';
import { CacheTable, type FrontendUse } from './cache-table.ts';
import { FrontendBuilder, tellWaiting } from './frontend-builder.ts';
import { HeldRoutes } from './held-routes.ts';
import { type HostPolicies, isSealed } from './host-policies.ts';
import { MarkQueue } from './mark-queue.ts';
import { ReadBudget } from './read-budget.ts';
import { type PendingRead, ReadQueue } from './read-queue.ts';
import { RefreshDamper } from './refresh-damper.ts';
import { RetryLater } from './retry-later.ts';
import {
  defaultRouteCacheLimits,
  type RouteCacheCounters,
  type RouteCacheLimits,
  type RouteCacheOptions,
  throwInternalError,
} from './route-cache-options.ts';
import { RoutesOfOthers } from './routes-of-others.ts';

/**
 * The routes as one worker sees them: the records of the store that requests have asked for, kept coherent by the
 * changes that a `StoreWatch` passes on. Implements the proxy's `RouteSource`.
 *
 * An entry is verified if the store has reported changes without a break since it was read. During a break every entry
 * is served as it is. After the break each entry is read again before its next use, which waits for that only a moment.
 * A request for a pattern that is known and verified never waits for the store.
 */
export class RouteCache implements ChangeListener {
  /** Null without a wipe guard. */
  readonly held: HeldRoutes | null;
  /** See `RouteSource`. */
  readonly policyWithoutRoute: HostPolicies['withoutRoute'];
  readonly counters: RouteCacheCounters = {
    hits: 0,
    misses: 0,
    loads: 0,
    refreshes: 0,
    storeErrors: 0,
    markErrors: 0,
  };
  private readonly limits: RouteCacheLimits;
  private readonly clock: Clock;
  private readonly setTimer: SetTimer;
  private readonly log: Pick<Log, 'warn'>;
  private readonly table: CacheTable;
  private readonly readQueue: ReadQueue;
  private readonly retries: RetryLater;
  private readonly marks: MarkQueue;
  private readonly damper: RefreshDamper;
  private readonly backendMarks: BackendMarks;
  private readonly builder: FrontendBuilder;
  private readonly shared: NonNullable<RouteCacheOptions['shared']> | null;
  private readonly others: RoutesOfOthers | null;
  /** Rises with every break. Entries that were read in an earlier epoch are not verified. */
  private epoch = 0;
  private isConnected = false;
  /** Orders readings and acknowledged marks, see `buildFrontend`. */
  private sequence = 0;
  private closed = false;
  private readonly confirmations = new ReadBudget(confirmationsPerSecond);
  private readonly problemLog: RateLimitedLog;
  private readonly unchangedLog: RateLimitedLog;

  constructor(options: RouteCacheOptions) {
    const { store, onInternalError = throwInternalError } = options;
    this.limits = { ...defaultRouteCacheLimits, ...options.limits };
    this.clock = options.clock ?? systemClock;
    this.setTimer = options.setTimer ?? setRealTimer;
    this.log = options.log ?? { warn: ignore };
    this.problemLog = new RateLimitedLog((what, fields) => this.log.warn(what, fields), this.clock);
    const why = store.whyUnchanged === undefined ? '' : `: ${store.whyUnchanged}`;
    const warnUnchanged = (what: string) => this.log.warn(`${what}${why}`, { unchanged: this.unchanged });
    this.unchangedLog = new RateLimitedLog(warnUnchanged, this.clock);
    this.builder = new FrontendBuilder({
      ...options,
      clock: this.clock,
      wildcardsMax: this.limits.entriesMax,
      frontends: () => this.table.frontends(),
      onForgotten: () => this.turnEpoch(),
    });
    this.policyWithoutRoute = (host) => this.builder.policies?.withoutRoute(host) ?? null;
    this.table = new CacheTable(
      this.limits,
      (frontend) => mayBePacked(frontend, this.clock.epochMs(), this.clock.monotonicMs()),
      (frontend) => this.builder.policies?.resolve(frontend),
    );
    const { clock, setTimer } = this;
    this.readQueue = new ReadQueue(
      store.routes,
      { readTimeoutMs: this.limits.readTimeoutMs, clock, setTimer },
      {
        sent: (read) => this.onSent(read),
        landed: (read, record) => this.onLanded(read, record),
        failed: (read, error) => this.onFailed(read, error),
        onInternalError: (error) => onInternalError('the route cache', error),
      },
    );
    this.retries = new RetryLater(this.setTimer, (pattern) => this.refreshIfKnown(pattern));
    this.damper = new RefreshDamper({
      patternsMax: this.limits.entriesMax + this.limits.negativeEntriesMax,
      clock: this.clock,
      setTimer: this.setTimer,
      due: (pattern) => this.verifyAtNextUse(pattern),
    });
    this.shared = options.shared ?? null;
    this.others = this.shared && new RoutesOfOthers(this.shared, this.table, this.builder);
    const { askGuard: ask = null } = options;
    this.held =
      ask &&
      new HeldRoutes({
        ...{ ask, clock: this.clock },
        drop: (pattern) => this.dropHeld(pattern),
        verify: (pattern) => this.refreshIfKnown(pattern),
      });
    const onMarkError = (error: unknown) => this.onMarkError(error);
    this.marks = new MarkQueue(store.marks, () => ++this.sequence, onMarkError);
    const { instance, onMarked = ignore } = options;
    this.backendMarks = new BackendMarks({ instance, clock, queue: this.marks, onMarked });
  }

  /** Entries, with a frontend and negative. */
  get entries(): number {
    return this.table.size;
  }

  /** Entries of patterns known to have no record. */
  get negativeEntries(): number {
    return this.table.negativeEntries;
  }

  /** Approximate memory of the entries, in bytes. */
  get bytes(): number {
    return this.table.bytes;
  }

  get evictions(): number {
    return this.table.evictions;
  }

  /** Parts of records that cannot be used, each counted once. */
  get recordProblems(): number {
    return this.builder.problems;
  }

  /** Marks set by this worker. */
  get marksSet(): number {
    return this.backendMarks.count;
  }

  /** Marks that were not shared because too many were waiting. */
  get marksDropped(): number {
    return this.marks.dropped;
  }

  /** Patterns that were read again although their record had not changed. */
  get unchanged(): number {
    return this.damper.unchanged;
  }

  /** Whether the store reports changes at present. */
  get connected(): boolean {
    return this.isConnected;
  }

  /** Counts the entries that may be older than the store. Looks at every negative one. */
  countUnverified(): number {
    return this.isConnected ? this.table.countOutdated() : this.table.size;
  }

  /** How the route of a pattern is known. Does not count as use. */
  useOf(pattern: string): FrontendUse {
    return this.table.useOf(pattern);
  }

  /** Resolves once everything that has changed so far is read again; false if that failed and is tried later. */
  settled(): Promise<boolean> {
    // Records that wait are verified before their next use.
    this.damper.release();
    return this.readQueue.settled().then(async (isRead) => {
      await this.held?.settled();
      return isRead;
    });
  }

  /** Routes that others know are served from now on, even where the store does not have them. */
  recallAbsent(): void {
    this.others?.recallAbsent();
  }

  /** Ends the timers. `cached` still works, and the owner of the store closes it. */
  close(): void {
    this.closed = true;
    this.held?.close();
    this.readQueue.close();
    this.retries.close();
    this.damper.close();
  }

  /**
   * The frontend of a normalised host, or of a host and port; null if none matches; undefined if `load` has to ask the
   * store.
   */
  cached(host: string): Frontend | null | undefined {
    const entry = this.table.use(host);
    if (entry === undefined || !this.isUsable(entry)) return undefined;
    if (!entry.used) entry.used = true;
    const frontend = entry.frontend ?? this.cachedWildcard(entry);
    if (frontend === undefined || (frontend !== null && isSealed(frontend))) return undefined;
    this.counters.hits++;
    return frontend;
  }

  /**
   * Like `cached`, but reads all missing or unverified records from the store, in one read. If the store fails or takes
   * too long, known records are used.
   * @throws HipacheError with source `store` if neither memory nor the store has the route.
   */
  async load(host: string): Promise<Frontend | null> {
    const known = this.cached(host);
    if (known !== undefined) return known;
    this.counters.misses++;
    const own = ownCopy(host);
    const patterns = [own, ...patternsAfter(own)];
    const results = new Map<string, Frontend | null>();
    const startMs = this.clock.monotonicMs();
    let mayRecall = true;
    if (!this.isConnected || this.held?.raised)
      await this.others?.recall(patterns, !this.isConnected, () => ++this.sequence);
    for (;;) {
      const step = this.walk(patterns, results);
      if (!Array.isArray(step)) {
        if (step === null) return null;
        this.others?.reportAbsences(results);
        // Its objects may be no longer, or never, in the table when the options that it inherits are read.
        this.builder.policies?.resolve(step);
        return step;
      }
      const fallback = this.known(patterns, results);
      const waitMs = fallback === undefined ? this.limits.readTimeoutMs : this.limits.verifyWaitMs;
      const outcome = await this.readQueue.wait(step, startMs + waitMs - this.clock.monotonicMs());
      if (outcome === null) {
        for (const read of step) results.set(read.pattern, read.frontend);
      } else {
        if (fallback === undefined) {
          if (!mayRecall) throw outcome;
          mayRecall = false;
          await this.others?.recall(patterns, !this.isConnected, () => ++this.sequence);
          if (this.known(patterns, results) === undefined) throw outcome;
          continue;
        }
        for (const pattern of patterns) this.serveOverdue(pattern);
        return this.known(patterns, results) ?? fallback;
      }
    }
  }

  /**
   * Reads a host again of which `cached` says that it has no route: word of a new one may be on its way. Null if the store
   * is away, or if too many hosts are read again: a flood of unknown names must not reach the store.
   */
  confirmAbsent(host: string): Promise<Frontend | null> | null {
    return this.isConnected && this.confirmations.take(this.clock.monotonicMs()) ? this.readAgain(host) : null;
  }

  /** Marks a backend dead for `ttlMs`, if `health.ts` allows it: here at once, and elsewhere through the store. */
  markDown(frontend: Frontend, backend: Backend, reason: string, ttlMs: number): void {
    this.backendMarks.set(this.table.get(frontend.pattern)?.frontend ?? frontend, backend, reason, ttlMs);
  }

  /** See `RouteSource`. */
  current(frontend: Frontend): Frontend {
    const current = this.table.get(frontend.pattern)?.frontend ?? frontend;
    return current.load === frontend.load ? current : frontend;
  }

  changed(collection: CollectionName, patterns: readonly string[]): void {
    if (collection === 'certificates') return;
    if (collection === 'routes') this.held?.changed(patterns.length);
    for (const pattern of patterns) {
      this.readQueue.invalidate(pattern);
      if (collection === 'options' && isWildcard(pattern) && this.builder.policies !== null) {
        // Hosts that it covers inherit them, whether the pattern itself is known or not.
        this.builder.policies.owe(pattern);
        this.refresh(pattern);
        continue;
      }
      const entry = this.table.get(pattern);
      if (entry === undefined) continue;
      if (entry.frontend === null && !entry.used) this.table.remove(entry);
      else if (this.damper.reported(pattern)) this.refreshIfKnown(pattern);
    }
  }

  expired(): void {
    this.turnEpoch();
    this.readQueue.invalidateAll();
  }

  lost(): void {
    this.isConnected = false;
    this.turnEpoch();
  }

  restored(): void {
    this.isConnected = true;
    this.readQueue.invalidateAll();
    this.retries.retryNow();
  }

  private turnEpoch(): void {
    this.epoch++;
    this.table.turn(this.epoch);
  }

  private async readAgain(host: string): Promise<Frontend | null> {
    const own = ownCopy(host);
    const reads = [own, ...patternsAfter(own)].map((pattern) => this.readQueue.fetch(pattern, true));
    this.counters.loads += reads.length;
    const error = await this.readQueue.wait(reads, this.limits.verifyWaitMs);
    return error === null ? (reads.find(({ frontend }) => frontend !== null)?.frontend ?? null) : null;
  }

  private isUsable(entry: CacheEntry): boolean {
    return entry.epoch === this.epoch || entry.overdue || !this.isConnected;
  }

  private cachedWildcard(exact: CacheEntry): Frontend | null | undefined {
    exact.wildcards ??= patternsAfter(exact.pattern);
    for (const pattern of exact.wildcards) {
      const entry = this.table.use(pattern);
      if (entry === undefined || !this.isUsable(entry)) return undefined;
      if (!entry.used) entry.used = true;
      if (entry.frontend !== null) return entry.frontend;
    }
    return null;
  }

  /**
   * The frontend, if usable entries and earlier results decide it; otherwise the readings that will. Readings of less
   * specific patterns start together with the others. After a known frontend that only has to be verified, they are read
   * for their options, which it may inherit.
   */
  private walk(
    patterns: readonly string[],
    results: ReadonlyMap<string, Frontend | null>,
  ): Frontend | null | PendingRead[] {
    const reads: PendingRead[] = [];
    let isDecided = false;
    for (const pattern of patterns) {
      const entry = this.table.get(pattern);
      let frontend = results.get(pattern);
      if (frontend === undefined && entry !== undefined && this.isUsable(entry)) {
        frontend = entry.frontend;
        entry.used = true;
      }
      if (frontend === undefined) {
        this.counters.loads++;
        if (entry === undefined && isWildcard(pattern)) this.builder.policies?.expect(pattern);
        reads.push(this.readQueue.fetch(pattern, true));
        isDecided ||= entry !== undefined && entry.frontend !== null;
        if (isDecided && this.builder.policies === null) break;
      } else {
        if (frontend === null || isDecided) continue;
        if (isSealed(frontend)) this.builder.policies?.resolve(frontend);
        isDecided = isSealed(frontend);
        if (isDecided) continue;
        if (reads.length === 0) return frontend;
        break;
      }
    }
    return reads.length === 0 ? null : reads;
  }

  /** The frontend from memory, verified or not; undefined if memory does not have it. */
  private known(
    patterns: readonly string[],
    results: ReadonlyMap<string, Frontend | null>,
  ): Frontend | null | undefined {
    for (const pattern of patterns) {
      const result = results.get(pattern);
      const frontend = result === undefined ? this.table.get(pattern)?.frontend : result;
      if (frontend != null && isSealed(frontend)) return undefined;
      if (frontend !== null) return frontend;
    }
    return null;
  }

  /** Lets a known entry serve until a reading, which is started if necessary, brings a newer one. */
  private serveOverdue(pattern: string): void {
    const entry = this.table.get(pattern);
    if (entry === undefined || this.isUsable(entry)) return;
    entry.overdue = true;
    this.refreshIfKnown(pattern);
  }

  private refreshIfKnown(pattern: string): boolean {
    if (this.table.get(pattern) === undefined && this.builder.policies?.isOwed(pattern) !== true) return false;
    this.refresh(pattern);
    return true;
  }

  private refresh(pattern: string): void {
    this.counters.refreshes++;
    this.readQueue.fetch(pattern, false);
  }

  private verifyAtNextUse(pattern: string): void {
    const entry = this.table.get(pattern);
    if (entry !== undefined) this.table.setEpoch(entry, outdated);
  }

  private onSent(read: PendingRead): void {
    read.epoch = this.isConnected ? this.epoch : -1;
    read.sequence = ++this.sequence;
  }

  private onLanded(read: PendingRead, record: StoredRoute | null): void {
    const { pattern } = read;
    const entry = this.table.get(pattern);
    const former = entry?.frontend ?? null;
    read.frontend = this.builder.build(pattern, record, former, read.sequence);
    const hadOptions = this.builder.policies?.has(pattern) === true;
    const isAbsent = (read.frontend === null && former !== null) || (record === null && hadOptions);
    const isHeld = isAbsent && this.held?.holds(pattern, entry?.epoch !== this.epoch);
    if (isHeld) {
      read.frontend = former;
    } else {
      this.held?.released(pattern);
      this.builder.policies?.learn(pattern, record?.options);
      tellWaiting(read.frontend, former);
    }
    const isNews = record !== null || former !== null || hadOptions;
    // Of a record that has changed meanwhile, the old state must not be known after the word of its change.
    if (isNews && !isHeld && !read.dirty) this.shared?.routeRead(pattern, record);
    this.retries.succeeded(pattern);
    if (this.damper.landed(pattern, record)) this.unchangedLog.report(unchangedRecords, {});
    // A dirty result may only replace an older entry: then `changed` has already started the next reading. If the store
    // reports every reading, it is kept all the same, until its pause is over.
    if (entry === undefined && (!read.urgent || (read.dirty && this.damper.reported(pattern)))) return;
    this.table.put(new CacheEntry(pattern, read.frontend, entrySize(pattern, read.frontend), read.epoch));
    // A request reads them with the record. This reading may be the first after a break without one.
    if (entry !== undefined && entry.epoch !== read.epoch && read.frontend !== null) this.verifyInherited(pattern);
  }

  /** The options that a host inherits may have changed during a break. */
  private verifyInherited(pattern: string): void {
    if (this.builder.policies === null) return;
    for (const wildcard of coveringPatterns(pattern)) {
      const entry = this.table.get(wildcard);
      if (entry === undefined || entry.epoch !== this.epoch) this.readQueue.fetch(wildcard, true);
    }
  }

  /** A held route was removed indeed: its absence is read with the next use. */
  private dropHeld(pattern: string): void {
    const entry = this.table.get(pattern);
    if (entry !== undefined) this.table.remove(entry);
    tellWaiting(null, entry?.frontend ?? null);
    this.builder.policies?.learn(pattern);
    this.shared?.routeRead(pattern, null);
  }

  private onFailed(read: PendingRead, error: HipacheError): void {
    this.counters.storeErrors++;
    this.problemLog.report('the store cannot be read; known routes are still served', { error });
    const entry = this.table.get(read.pattern);
    // Hosts that it covers may be served meanwhile, without the options that they inherit.
    if (isWildcard(read.pattern)) this.builder.policies?.owe(read.pattern);
    if ((entry === undefined && this.builder.policies?.isOwed(read.pattern) !== true) || this.closed) {
      this.retries.forget(read.pattern);
      return;
    }
    if (entry !== undefined) entry.overdue = true;
    this.retries.failed(read.pattern);
  }

  private onMarkError(error: unknown): void {
    this.counters.markErrors++;
    this.problemLog.report('a dead mark could not be shared; it holds in this worker only', { error });
  }
}

/** Hosts without a route that are read again, per second. */
const confirmationsPerSecond = 200;
const unchangedRecords = 'the store reports changes of records that have not changed; they are read less often';
/** The epoch of an entry that has to be verified before its next use. */
const outdated = -1;

function ignore(): void {}
