import type { Clock } from '../base/clock.ts';
import { CoalescedTask } from '../base/coalesced-task.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import { type HealthCheck, healthCheckOf } from '../policy/health-check.ts';
import { optionsInForce } from '../policy/read-options.ts';
import type { DownMark } from '../routing/backend.ts';
import { type BackendTarget, readBackendUrl } from '../routing/backend-url.ts';
import { coveringPatterns } from '../routing/patterns.ts';
import { backendsMax as recordBackendsMax } from '../routing/record.ts';
import { hasRoute, type MarkCollection, type RouteReader, type StoredRoute } from '../stores/contract.ts';
import { type AskBackend, BackendCheck, type BackendCheckEvents, type BackendCheckParts } from './backend-check.ts';
import { type CheckSlotLimits, CheckSlots } from './check-slots.ts';
import { CheckingFleet, type FleetStore } from './checking-fleet.ts';
import { backendKey, responsibleFor } from './rendezvous.ts';
import { Slots } from './slots.ts';

/** Totals. */
export interface HealthCounters {
  /** Checks by their result. */
  succeeded: number;
  failed: number;
  /** Backends that have failed, or succeeded, often enough. */
  turnedDown: number;
  turnedUp: number;
  /** Hosts and backends that are not checked, since there are too many. */
  dropped: number;
}

/** The collections of a store that checks use. */
export interface HealthStore extends FleetStore {
  readonly routes: RouteReader;
  readonly marks: Pick<MarkCollection, 'write' | 'remove'>;
}

export interface HealthChecksOptions {
  readonly store: HealthStore;
  /** Id of this instance, as it stands in its marks. */
  readonly instance: string;
  readonly ask: AskBackend;
  readonly clock: Clock;
  /** Default: real time. */
  readonly setTimer?: SetTimer;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** Goes on with these totals. */
  readonly counters: HealthCounters;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly onProblem: (what: string, error: Error) => void;
}

/** Patterns whose backends are checked, and backends that this instance checks. */
const patternsMax = 10_000;
const backendsMax = 10_000;
/** Checks under way at once. 32 a second can turn out to be slow, of which each takes a minute at most: the total has room for all. */
const checkSlotLimits: CheckSlotLimits = { fast: 32, slow: 32, total: 2048 };
/** Changes of marks under way at once. */
const writesMax = 16;
/** Between two looks at the records and at the fleet, in ms; and at least so long for each page of patterns. */
const roundMs = 5000;
const roundMsPerPage = 500;
/** Patterns read at once; each with the wildcards that it inherits from. */
const pagePatterns = 128;
/** A pattern that no worker has confirmed for so long, in ms, is not checked any more. */
const confirmedMs = 600_000;

/** A pattern that workers have reported. */
interface CheckedHost {
  confirmedAtMs: number;
  /** Null while its options want no check, or without a route. */
  check: HealthCheck | null;
  /** The backends that this instance checks, by URL. */
  readonly backends: Map<string, BackendCheck>;
  /** Backends that nobody checks, since there are too many. */
  dropped: number;
}

/**
 * The regular checks of an instance. Workers say for which patterns; routes and options are read from the store again and
 * again, so that nothing depends on the workers to notice a change. Of a fleet each backend is checked by one instance, by
 * rendezvous hashing over those that know the host: nobody is elected, and a check writes nothing.
 */
export class HealthChecks {
  private readonly options: HealthChecksOptions;
  private readonly setTimer: SetTimer;
  private readonly fleet: CheckingFleet;
  private readonly parts: BackendCheckParts;
  private readonly turns: RateLimitedLog;
  private readonly recoveries: RateLimitedLog;
  private readonly hosts = new Map<string, CheckedHost>();
  /** Patterns that are read at once: those that nothing, or no check, is known of. */
  private readonly fresh = new Set<string>();
  private readonly reading = new CoalescedTask(() => this.read());
  private nextRoundMs = Number.NEGATIVE_INFINITY;
  private cancelTimer: () => void = ignore;
  private checked = 0;

  constructor(options: HealthChecksOptions) {
    const { clock, instance, log, setTimer = setRealTimer, store } = options;
    this.options = options;
    this.setTimer = setTimer;
    this.fleet = new CheckingFleet(store, instance, clock);
    this.turns = new RateLimitedLog(log.warn, clock);
    this.recoveries = new RateLimitedLog(log.info, clock);
    this.parts = {
      ...options,
      setTimer,
      isShared: store.instances !== null,
      slots: new CheckSlots(checkSlotLimits),
      underWay: new Map(),
      writes: new Slots(writesMax),
      events: this.events(),
    };
  }

  /** Backends that this instance checks. */
  get size(): number {
    return this.checked;
  }

  /** Those among them that are down. */
  get downCount(): number {
    let count = 0;
    for (const { backends } of this.hosts.values()) for (const { isDown } of backends.values()) count += isDown ? 1 : 0;
    return count;
  }

  /** The patterns that workers have confirmed, for another object that takes over. */
  get patterns(): readonly string[] {
    return [...this.hosts.keys()];
  }

  /** Whether checks decide on the marks of the backends of a pattern. */
  isChecked(pattern: string): boolean {
    const host = this.hosts.get(pattern);
    return host !== undefined && host.check !== null && host.dropped === 0;
  }

  /** Workers serve these patterns, whose options want checks. */
  confirm(patterns: readonly string[]): void {
    if (this.reading.isClosed) return;
    const nowMs = this.options.clock.monotonicMs();
    for (const pattern of patterns) {
      const known = this.hosts.get(pattern);
      if (known !== undefined) {
        known.confirmedAtMs = nowMs;
        if (known.check === null) this.fresh.add(pattern);
      } else if (this.hosts.size >= patternsMax) this.options.counters.dropped++;
      else {
        this.hosts.set(pattern, { confirmedAtMs: nowMs, check: null, backends: new Map(), dropped: 0 });
        this.fresh.add(pattern);
      }
    }
    if (this.fresh.size > 0) void this.reading.request();
  }

  /** After `close`: tells the fleet that this instance checks nothing any more. @throws what the store throws. */
  withdraw(): Promise<void> {
    return this.fleet.withdraw();
  }

  /** Ends all checks. Marks stay until they end by themselves, or other instances lift them. */
  async close(): Promise<void> {
    this.cancelTimer();
    for (const host of this.hosts.values()) this.stopAll(host);
    await this.reading.close();
    this.cancelTimer();
    for (const host of this.hosts.values()) this.stopAll(host);
  }

  /** Reads new patterns; when it is time, all of them. */
  private async read(): Promise<void> {
    this.cancelTimer();
    const { clock } = this.options;
    const isRound = clock.monotonicMs() >= this.nextRoundMs;
    if (isRound) {
      this.forgetUnconfirmed();
      await this.attempt('the instances of the fleet cannot be read', () => this.fleet.refresh());
    }
    const patterns = isRound ? this.patterns : [...this.fresh];
    this.fresh.clear();
    await this.attempt('routes with health checks cannot be read', () => this.readAll(patterns));
    await this.attempt('the hosts that are checked cannot be written', () => this.fleet.publish(this.activePatterns()));
    if (this.reading.isClosed) return;
    const nowMs = clock.monotonicMs();
    const pages = Math.ceil(this.hosts.size / pagePatterns);
    if (isRound) this.nextRoundMs = nowMs + Math.max(roundMs, pages * roundMsPerPage);
    if (this.hosts.size === 0) return;
    this.cancelTimer = this.setTimer(Math.max(0, this.nextRoundMs - nowMs), () => void this.reading.request());
  }

  /** A failed task is done again in the next round; checks go on meanwhile. */
  private async attempt(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!this.reading.isClosed) this.options.onProblem(what, error as Error);
    }
  }

  private activePatterns(): string[] {
    return [...this.hosts].filter(([, { check }]) => check !== null).map(([pattern]) => pattern);
  }

  private forgetUnconfirmed(): void {
    const nowMs = this.options.clock.monotonicMs();
    for (const [pattern, host] of this.hosts) {
      if (nowMs - host.confirmedAtMs <= confirmedMs) continue;
      this.stopAll(host);
      this.hosts.delete(pattern);
    }
  }

  private async readAll(patterns: readonly string[]): Promise<void> {
    for (let from = 0; from < patterns.length && !this.reading.isClosed; from += pagePatterns) {
      const page = patterns.slice(from, from + pagePatterns);
      const keys = [...new Set(page.flatMap((pattern) => [pattern, ...coveringPatterns(pattern)]))];
      const found = await this.options.store.routes.read(keys);
      if (this.reading.isClosed) return;
      const records = new Map(keys.map((key, index) => [key, found[index] ?? null]));
      for (const pattern of page) this.apply(pattern, records);
    }
  }

  /** A pattern as the store has it now. */
  private apply(pattern: string, records: ReadonlyMap<string, StoredRoute | null>): void {
    const host = this.hosts.get(pattern);
    const record = records.get(pattern) ?? null;
    if (host === undefined) return;
    const check = hasRoute(record) ? checkOf(pattern, records) : null;
    if (check === null) {
      for (const backend of host.backends.values()) backend.stopAndLift();
      this.forgetBackends(host);
    } else if (JSON.stringify(check) !== JSON.stringify(host.check)) {
      this.stopAll(host);
    }
    host.check = check;
    if (check === null || record === null) return;
    const targets = targetsOf(record);
    for (const [url, backend] of host.backends) {
      const { secure, serverName } = targets.get(url) ?? {};
      const isSame = secure === backend.target.secure && serverName === backend.target.serverName;
      if (!isSame) this.stopOne(host, url, backend);
    }
    this.share(pattern, host, check, targets, record.down);
  }

  /** Checks the backends that are this instance's, and no other ones. */
  private share(
    pattern: string,
    host: CheckedHost,
    check: HealthCheck,
    targets: ReadonlyMap<string, BackendTarget>,
    marks: ReadonlyMap<string, DownMark>,
  ): void {
    const { counters, instance } = this.options;
    const checkers = this.fleet.checkersOf(pattern);
    let dropped = 0;
    for (const [url, target] of targets) {
      const known = host.backends.get(url);
      const mark = marks.get(url) ?? null;
      if (responsibleFor(backendKey(pattern, url), checkers) !== instance) {
        if (known !== undefined) this.stopOne(host, url, known);
      } else if (known !== undefined) known.see(mark);
      else if (this.checked >= backendsMax) dropped++;
      else {
        const backend = new BackendCheck(pattern, target, check, this.parts);
        host.backends.set(url, backend);
        this.checked++;
        backend.start(mark);
      }
    }
    counters.dropped += Math.max(0, dropped - host.dropped);
    host.dropped = dropped;
  }

  private stopOne(host: CheckedHost, url: string, backend: BackendCheck): void {
    backend.stop();
    host.backends.delete(url);
    this.checked--;
  }

  private stopAll(host: CheckedHost): void {
    for (const backend of host.backends.values()) backend.stop();
    this.forgetBackends(host);
  }

  private forgetBackends(host: CheckedHost): void {
    this.checked -= host.backends.size;
    host.backends.clear();
    host.dropped = 0;
  }

  private events(): BackendCheckEvents {
    const { counters, onProblem } = this.options;
    return {
      checked: (hasSucceeded) => {
        if (hasSucceeded) counters.succeeded++;
        else counters.failed++;
      },
      turned: ({ pattern, target: { url } }, reason) => {
        const isDown = reason !== '';
        if (isDown) counters.turnedDown++;
        else counters.turnedUp++;
        const fields = { host: pattern, backend: url };
        const kind = `${isDown} ${pattern} ${url}`;
        if (isDown) this.turns.report('a backend fails its health check', { ...fields, reason }, kind);
        else this.recoveries.report('a backend passes its health check again', fields, kind);
      },
      lifted: ({ pattern, target: { url } }) => {
        const fields = { host: pattern, backend: url };
        this.recoveries.report('a backend has recovered', fields, `lifted ${pattern} ${url}`);
      },
      problem: (error) => onProblem('the mark of a health check cannot be written', error),
    };
  }
}

/** The check that the options of a pattern, and those that it inherits, make. */
function checkOf(pattern: string, records: ReadonlyMap<string, StoredRoute | null>): HealthCheck | null {
  const layers = [pattern, ...coveringPatterns(pattern)].flatMap((each) => {
    const options = records.get(each)?.options;
    return options === undefined && each !== pattern ? [] : [{ pattern: each, options: options ?? noOptions }];
  });
  return healthCheckOf(optionsInForce(layers).values);
}

/** The backends of a record that get requests, as canaries and backups too, by URL. */
function targetsOf({ frontend }: StoredRoute): ReadonlyMap<string, BackendTarget> {
  const targets = new Map<string, BackendTarget>();
  for (const value of frontend.slice(1, recordBackendsMax + 1)) {
    const { target } = readBackendUrl(value);
    if (target !== null && target.drainUntilMs === null && !targets.has(target.url)) targets.set(target.url, target);
  }
  return targets;
}

const noOptions: ReadonlyMap<string, string> = new Map();

function ignore(): void {}
