import { type Clock, systemClock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { Backend, DownMark } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import { mayMarkDown } from '../routing/health.ts';
import { wildcardPatterns } from '../routing/host.ts';
import { buildFrontend } from '../routing/record.ts';
import type { ChangeListener, CollectionName, StoredRoute } from '../stores/contract.ts';
import { CacheEntry, CacheTable, entrySize } from './cache-table.ts';
import { MarkQueue } from './mark-queue.ts';
import { type PendingRead, ReadQueue } from './read-queue.ts';
import { ReportedProblems } from './reported-problems.ts';
import { RetryLater } from './retry-later.ts';
import {
  defaultRouteCacheLimits,
  type RouteCacheCounters,
  type RouteCacheLimits,
  type RouteCacheOptions,
} from './route-cache-options.ts';

/**
 * The routes as one worker sees them: what the store holds, as far as it has been asked for, kept coherent by what a
 * `StoreWatch` passes on. Implements the proxy's `RouteSource`.
 *
 * An entry is verified while it was read, and the store has told of changes without a break since then. When the break
 * comes everything stays and is served; once it is over, each entry is read again before its next use, which waits for
 * that only a moment. Nothing here ever waits for the store on behalf of a pattern that is known and verified.
 */
export class RouteCache implements ChangeListener {
  readonly counters: RouteCacheCounters = {
    hits: 0,
    misses: 0,
    loads: 0,
    refreshes: 0,
    storeErrors: 0,
    marks: 0,
    markErrors: 0,
  };
  readonly #instance: string;
  readonly #limits: RouteCacheLimits;
  readonly #clock: Clock;
  readonly #setTimer: SetTimer;
  readonly #log: Pick<Log, 'warn'>;
  readonly #table: CacheTable;
  readonly #readQueue: ReadQueue;
  readonly #retries: RetryLater;
  readonly #marks: MarkQueue;
  readonly #onMarked: NonNullable<RouteCacheOptions['onMarked']>;
  readonly #problems: ReportedProblems;
  /** Raised with every break; entries that were read before it are not verified. */
  #epoch = 0;
  #connected = false;
  /** Orders readings and acknowledged marks, see `buildFrontend`. */
  #sequence = 0;
  #closed = false;
  readonly #rare: RateLimitedLog;

  constructor(options: RouteCacheOptions) {
    const { store } = options;
    this.#instance = options.instance;
    this.#limits = { ...defaultRouteCacheLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#setTimer = options.setTimer ?? setRealTimer;
    this.#log = options.log ?? silent;
    this.#rare = new RateLimitedLog((what, fields) => this.#log.warn(what, fields), this.#clock);
    this.#table = new CacheTable(this.#limits.entriesMax, this.#limits.bytesMax, this.#limits.negativeEntriesMax);
    this.#readQueue = new ReadQueue(store.routes, this.#limits.readTimeoutMs, this.#setTimer, {
      sent: (read) => this.#onSent(read),
      landed: (read, host) => this.#onLanded(read, host),
      failed: (read, error) => this.#onFailed(read, error),
    });
    this.#retries = new RetryLater(this.#setTimer, (pattern) => this.#refreshIfKnown(pattern));
    this.#problems = new ReportedProblems(options.onProblem ?? ignore);
    this.#onMarked = options.onMarked ?? ignore;
    this.#marks = new MarkQueue(
      store.marks,
      () => ++this.#sequence,
      (error) => this.#onMarkError(error),
    );
  }

  /** Frontends and negative entries held. */
  get entries(): number {
    return this.#table.size;
  }

  /** Of which patterns known to have no record. */
  get negativeEntries(): number {
    return this.#table.negativeEntries;
  }

  /** Approximate memory of what is held, in bytes. */
  get bytes(): number {
    return this.#table.bytes;
  }

  get evictions(): number {
    return this.#table.evictions;
  }

  /** Marks that were not shared since too many waited. */
  get marksDropped(): number {
    return this.#marks.dropped;
  }

  /** Whether the store tells of changes at present. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Entries that may be older than the store. Looks at every entry. */
  countUnverified(): number {
    if (!this.#connected) return this.#table.size;
    let count = 0;
    for (const entry of this.#table.entries()) if (entry.epoch !== this.#epoch) count++;
    return count;
  }

  /** Resolves once what has changed so far is read again; false where that failed, and is tried later. */
  settled(): Promise<boolean> {
    return this.#readQueue.settled();
  }

  /** Ends its timers. What is cached can still be asked for; the store is its owner's to close. */
  close(): void {
    this.#closed = true;
    this.#retries.close();
  }

  /** The frontend of a normalised host, null where none matches, undefined where only `load` can tell. */
  cached(host: string): Frontend | null | undefined {
    const entry = this.#table.get(host);
    if (entry === undefined || !this.#isUsable(entry)) return undefined;
    if (!entry.used) entry.used = true;
    const frontend = entry.frontend ?? this.#cachedWildcard(entry);
    if (frontend !== undefined) this.counters.hits++;
    return frontend;
  }

  /**
   * As `cached`, asking the store for what is not known or not verified, all of it at once. What was known before serves
   * where the store fails or takes too long.
   * @throws HipacheError with source `store`, where neither memory nor the store can tell.
   */
  async load(host: string): Promise<Frontend | null> {
    const known = this.cached(host);
    if (known !== undefined) return known;
    this.counters.misses++;
    // A host is cut out of the text of a request head, which must not stay in memory for as long as the host does.
    const own = Buffer.from(host, 'latin1').toString('latin1');
    const patterns = [own, ...wildcardPatterns(own)];
    const answers = new Map<string, Frontend | null>();
    const startMs = this.#clock.monotonicMs();
    for (;;) {
      const step = this.#walk(patterns, answers);
      if (!Array.isArray(step)) return step;
      const fallback = this.#known(patterns, answers);
      const waitMs = fallback === undefined ? this.#limits.readTimeoutMs : this.#limits.verifyWaitMs;
      const outcome = await this.#wait(step, startMs + waitMs - this.#clock.monotonicMs());
      if (outcome === null) {
        for (const read of step) answers.set(read.pattern, read.frontend);
      } else {
        if (fallback === undefined) throw outcome;
        for (const pattern of patterns) this.#serveOverdue(pattern);
        return this.#known(patterns, answers) ?? fallback;
      }
    }
  }

  /** Marks a backend dead for `ttlMs`, if the rules of `health.ts` allow: here at once, for others through the store. */
  markDown(frontend: Frontend, backend: Backend, reason: string, ttlMs: number): void {
    const nowMs = this.#clock.epochMs();
    const current = this.#table.get(frontend.pattern)?.frontend ?? frontend;
    const target = current.backends.find((candidate) => candidate.url === backend.url);
    // Requests that were under way together fail together: the first one's mark is enough.
    if (target === undefined || target.isDown(nowMs) || !(ttlMs > 0)) return;
    if (!mayMarkDown(current, target, nowMs)) return;
    const mark: DownMark = { untilMs: Math.round(nowMs + ttlMs), sinceMs: nowMs, reason, instance: this.#instance };
    setMark(target, mark);
    if (backend !== target) setMark(backend, mark);
    this.counters.marks++;
    this.#marks.share(frontend.pattern, target);
    this.#onMarked(frontend.pattern, target.url, mark);
  }

  changed(collection: CollectionName, patterns: readonly string[]): void {
    if (collection !== 'routes') return;
    for (const pattern of patterns) {
      this.#readQueue.invalidate(pattern);
      const entry = this.#table.get(pattern);
      if (entry === undefined) continue;
      if (entry.frontend === null && !entry.used) this.#table.remove(entry);
      else this.#refreshIfKnown(pattern);
    }
  }

  expired(): void {
    this.#epoch++;
    this.#readQueue.invalidateAll();
  }

  lost(): void {
    this.#connected = false;
    this.#epoch++;
  }

  restored(): void {
    this.#connected = true;
    this.#readQueue.invalidateAll();
    this.#retries.now();
  }

  #isUsable(entry: CacheEntry): boolean {
    return entry.epoch === this.#epoch || entry.overdue || !this.#connected;
  }

  #cachedWildcard(exact: CacheEntry): Frontend | null | undefined {
    exact.wildcards ??= wildcardPatterns(exact.pattern);
    for (const pattern of exact.wildcards) {
      const entry = this.#table.get(pattern);
      if (entry === undefined || !this.#isUsable(entry)) return undefined;
      if (!entry.used) entry.used = true;
      if (entry.frontend !== null) return entry.frontend;
    }
    return null;
  }

  /**
   * The answer, if what is usable or was answered decides it; else the readings that will. Those of less specific
   * patterns are begun together with the others, unless a frontend that only needs to be verified comes first.
   */
  #walk(patterns: readonly string[], answers: ReadonlyMap<string, Frontend | null>): Frontend | null | PendingRead[] {
    const reads: PendingRead[] = [];
    for (const pattern of patterns) {
      const entry = this.#table.get(pattern);
      let frontend = answers.get(pattern);
      if (frontend === undefined && entry !== undefined && this.#isUsable(entry)) {
        frontend = entry.frontend;
        entry.used = true;
      }
      if (frontend === undefined) {
        this.counters.loads++;
        reads.push(this.#readQueue.fetch(pattern, true));
        if (entry !== undefined && entry.frontend !== null) break;
      } else {
        if (frontend === null) continue;
        if (reads.length === 0) return frontend;
        break;
      }
    }
    return reads.length === 0 ? null : reads;
  }

  /** The answer from memory, verified or not; undefined where memory cannot tell. */
  #known(patterns: readonly string[], answers: ReadonlyMap<string, Frontend | null>): Frontend | null | undefined {
    for (const pattern of patterns) {
      const answer = answers.get(pattern);
      const frontend = answer === undefined ? this.#table.get(pattern)?.frontend : answer;
      if (frontend !== null) return frontend;
    }
    return null;
  }

  /** @returns null once all have landed; the error of the first that failed, or of the time-out. */
  #wait(reads: readonly PendingRead[], waitMs: number): Promise<HipacheError | null> {
    return new Promise((resolve) => {
      let under = reads.length;
      const cancel = this.#setTimer(Math.max(0, waitMs), () => {
        resolve(
          new HipacheError('STORE_UNAVAILABLE', `the store did not answer within ${this.#limits.readTimeoutMs} ms`),
        );
      });
      for (const read of reads) {
        read.waiters.push((error) => {
          if (error === null && --under > 0) return;
          cancel();
          resolve(error);
        });
      }
    });
  }

  /** Lets what is known serve until its reading, which goes on or is begun, has brought something newer. */
  #serveOverdue(pattern: string): void {
    const entry = this.#table.get(pattern);
    if (entry === undefined || this.#isUsable(entry)) return;
    entry.overdue = true;
    this.#refreshIfKnown(pattern);
  }

  #refreshIfKnown(pattern: string): boolean {
    if (this.#table.get(pattern) === undefined) return false;
    this.counters.refreshes++;
    this.#readQueue.fetch(pattern, false);
    return true;
  }

  #onSent(read: PendingRead): void {
    read.epoch = this.#connected ? this.#epoch : -1;
    read.sequence = ++this.#sequence;
  }

  #onLanded(read: PendingRead, host: StoredRoute | null): void {
    const { pattern } = read;
    const entry = this.#table.get(pattern);
    if (host !== null && (host.frontend.length > 0 || host.problem !== undefined)) {
      read.frontend = buildFrontend(pattern, host, entry?.frontend ?? null, read.sequence);
      this.#problems.reportAll(read.frontend);
    }
    this.#retries.succeeded(pattern);
    // What is dirty is kept only in the place of something older: then `changed` has begun the next reading already.
    if (entry === undefined && (read.dirty || !read.urgent)) return;
    const bytes = entrySize(pattern, read.frontend);
    this.#table.put(new CacheEntry(pattern, read.frontend, bytes, read.epoch));
  }

  #onFailed(read: PendingRead, error: HipacheError): void {
    this.counters.storeErrors++;
    this.#rare.report('the store cannot be read; what is known goes on being served', { error });
    const entry = this.#table.get(read.pattern);
    if (entry === undefined || this.#closed) {
      this.#retries.forget(read.pattern);
      return;
    }
    entry.overdue = true;
    this.#retries.failed(read.pattern);
  }

  #onMarkError(error: unknown): void {
    this.counters.markErrors++;
    this.#rare.report('a dead mark could not be shared; it holds in this worker', { error });
  }
}

function setMark(backend: Backend, mark: DownMark): void {
  backend.down = mark;
  backend.markSharedAt = Number.POSITIVE_INFINITY;
}

function ignore(): void {}

const silent: Pick<Log, 'warn'> = { warn: ignore };
