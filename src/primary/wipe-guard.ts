import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer, within } from '../base/timer.ts';
import type { Config } from '../config/config.ts';
import { splitKey } from '../route-cache/known-records.ts';
import { wipedRoutesMin, wipedShareMin } from '../route-cache/record-losses.ts';
import { hasRoute, type Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';

/** Known routes that are looked for in the store. */
const sampleMax = 200;
/** Between two judgements, and between two looks while the alarm is raised or the store cannot be read, in ms. */
const pauseMs = 250;
const lookEveryMs = 2000;
const againMs = 1000;
/** How long the store may take for one reading, in ms. */
const readMs = 10_000;
/** How long the start of the program waits for its first judgement, in ms. */
const startMs = 1000;
/** The connection to the store is closed if it is not used for so long, in ms. */
const idleMs = 60_000;
/** The alarm ends with at most this share still gone, or with less than half, once this many looks found no more back. */
const settledShare = 0.05;
const stillLooks = 3;
/** Known records that are looked for at once after the alarm. */
const recordsPerRead = 500;

/** The records that the instance serves. */
export interface GuardedRecords {
  sampleRoutes(count: number, random: () => number): { readonly patterns: readonly string[]; readonly routes: number };
  keys(): Iterable<string>;
  keepLost(): void;
  judgeLost(): void;
  releaseLost(isAll: boolean): readonly string[];
  restoreLost(): readonly string[];
  remove(keys: readonly string[]): void;
  abandonAll(): void;
}

export interface WipeGuardOptions {
  readonly config: Config;
  readonly known: GuardedRecords;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Called when `isHolding` or `routes` has changed. */
  readonly onTurn: () => void;
  /** Default: `openStore`. */
  readonly open?: typeof openStore;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
  readonly random?: () => number;
}

/** The result of a look for the sample in the store. */
interface SampleResult {
  readonly gone: number;
  readonly sample: number;
  /** Estimated number of known routes that are gone. */
  readonly routes: number;
}

/** An alarm that is raised. */
interface Alarm {
  readonly patterns: readonly string[];
  /** Routes known when it was raised. */
  readonly known: number;
  readonly sinceMs: number;
  /** The operator's word that the store had then; undefined until that could be read. */
  accepted: string | null | undefined;
  gone: number;
  /** Looks in a row that found no more routes back. */
  still: number;
}

/**
 * Judges whether the store has lost most of what the instance serves. It looks for a random sample of the known routes,
 * so its verdict does not depend on traffic. While its alarm is raised, known routes stay known, and workers serve them.
 */
export class WipeGuard {
  private readonly options: WipeGuardOptions;
  private readonly known: GuardedRecords;
  private readonly clock: Clock;
  private readonly setTimer: SetTimer;
  private readonly random: () => number;
  private readonly alarms: RateLimitedLog;
  private readonly problems: RateLimitedLog;
  private config: Config;
  private store: Promise<Store> | null = null;
  private alarm: Alarm | null = null;
  /** Whether the program has started with known routes that nobody has looked for yet. */
  private isStarting = false;
  private waiting: (() => void)[] = [];
  private isBusy = false;
  private nextMs = Number.NEGATIVE_INFINITY;
  private cancelTimer: (() => void) | null = null;
  private cancelIdle: (() => void) | null = null;
  private closed = false;

  constructor(options: WipeGuardOptions) {
    this.options = options;
    this.config = options.config;
    this.known = options.known;
    this.clock = options.clock ?? systemClock;
    this.setTimer = options.setTimer ?? setRealTimer;
    this.random = options.random ?? Math.random;
    this.problems = new RateLimitedLog((what, fields) => options.log.warn(what, fields), this.clock);
    this.alarms = new RateLimitedLog((what, fields) => options.log.error(what, fields), this.clock);
  }

  get isRaised(): boolean {
    return this.alarm !== null;
  }

  /** Whether workers serve known routes that the store does not have. */
  get isHolding(): boolean {
    return this.isRaised || this.isStarting;
  }

  /** Estimated number of known routes that the store does not have; 0 unless the alarm is raised. */
  get routes(): number {
    const { alarm } = this;
    return alarm === null ? 0 : estimate(alarm.gone, alarm.patterns.length, alarm.known);
  }

  /** Routes are known from a former program. Resolves once they are judged, or after a moment. */
  async start(): Promise<void> {
    if (this.known.sampleRoutes(0, this.random).routes < wipedRoutesMin) return;
    this.isStarting = true;
    await within(this.judge(), startMs).catch(ignore);
  }

  /** Another store may be in use from now on. */
  follow(config: Config): void {
    const isSame = JSON.stringify(config.driver) === JSON.stringify(this.config.driver);
    // A judgement in progress goes on.
    if (isSame) return;
    this.config = config;
    this.closeStore();
    const wasHolding = this.isHolding;
    this.alarm = null;
    this.isStarting = false;
    this.known.releaseLost(true);
    if (wasHolding) this.options.onTurn();
    this.run();
  }

  /** Resolves once a judgement has ended that began after this call. A store that cannot be read is asked again. */
  judge(): Promise<void> {
    if (this.closed) return Promise.resolve();
    // The verdict decides on records that are lost meanwhile.
    this.known.keepLost();
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.run();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer?.();
    for (const resolve of this.waiting.splice(0)) resolve();
    this.closeStore();
  }

  private run(): void {
    if (this.isBusy || this.closed || (this.waiting.length === 0 && this.alarm === null)) return;
    const waitMs = this.nextMs - this.clock.monotonicMs();
    this.cancelTimer?.();
    this.cancelTimer = null;
    if (waitMs > 0) {
      this.cancelTimer = this.setTimer(waitMs, () => this.run());
      return;
    }
    this.isBusy = true;
    const asked = this.waiting.splice(0);
    this.step().then(
      (pause) => this.ended(asked, pause),
      (error: Error) => {
        if (!this.closed) this.problems.report(unjudged, { error });
        this.closeStore();
        this.waiting.unshift(...asked);
        this.ended([], againMs);
      },
    );
  }

  private ended(asked: readonly (() => void)[], pause: number): void {
    this.isBusy = false;
    this.nextMs = this.clock.monotonicMs() + pause;
    for (const resolve of asked) resolve();
    this.run();
  }

  /** @returns the pause after it, in ms. */
  private async step(): Promise<number> {
    const { config } = this;
    if (this.alarm !== null) await this.look(this.alarm);
    else await this.find(config);
    return this.alarm === null ? pauseMs : lookEveryMs;
  }

  /** Judges while no alarm is raised. */
  private async find(config: Config): Promise<void> {
    // A word that is given while the store is read is about what is found.
    const sinceMs = this.clock.epochMs();
    this.known.judgeLost();
    const { patterns, routes } = this.known.sampleRoutes(sampleMax, this.random);
    const finding = routes < wipedRoutesMin ? null : await this.lookFor(patterns, routes);
    const isWiped = finding !== null && isMost(finding);
    const accepted = isWiped ? await this.accepted() : null;
    if (this.closed || config !== this.config) return;
    const wasStarting = this.isStarting;
    this.isStarting = false;
    if (finding === null || !isWiped) {
      // The next judgement is for those that have asked meanwhile.
      this.known.releaseLost(this.waiting.length === 0);
      if (wasStarting) this.options.onTurn();
      return;
    }
    this.known.keepLost();
    this.known.restoreLost();
    this.alarm = { patterns, known: routes, sinceMs, accepted, gone: finding.gone, still: 0 };
    this.alarms.report(wiped, { missing: finding.gone, sample: finding.sample, routes: finding.routes });
    this.options.onTurn();
  }

  /** Looks whether the alarm has to go on. */
  private async look(alarm: Alarm): Promise<void> {
    const finding = await this.lookFor(alarm.patterns, alarm.known);
    const accepted = await this.accepted();
    if (this.closed || this.alarm !== alarm) return;
    const before = alarm.gone;
    alarm.still = finding.gone < before ? 0 : alarm.still + 1;
    alarm.gone = finding.gone;
    const isBack = finding.gone <= settledShare * finding.sample || (!isMost(finding) && alarm.still >= stillLooks);
    const isAccepted = typeof accepted === 'string' && isNewer(accepted, alarm);
    if (alarm.accepted === undefined) alarm.accepted = accepted;
    if (!isBack && !isAccepted) {
      if (finding.gone !== before) this.options.onTurn();
      return;
    }
    await this.forgetMissing();
    if (this.closed || this.alarm !== alarm) return;
    this.alarm = null;
    this.known.abandonAll();
    this.options.log.info(
      isAccepted ? 'an operator has accepted the store as it is' : 'the store has most of the known routes again',
      { missing: finding.gone, sample: finding.sample },
    );
    this.options.onTurn();
  }

  private async lookFor(patterns: readonly string[], routes: number): Promise<SampleResult> {
    const store = await this.opened();
    const records = await within(store.routes.read(patterns), readMs);
    const gone = records.filter((record) => !hasRoute(record)).length;
    return { gone, sample: patterns.length, routes: estimate(gone, patterns.length, routes) };
  }

  /** Undefined if it cannot be read: the alarm does not depend on it. */
  private async accepted(): Promise<string | null | undefined> {
    const store = await this.opened();
    try {
      return await within(store.acceptance.read(), readMs);
    } catch (error) {
      this.problems.report('the store cannot be asked whether an operator has accepted it', { error: error as Error });
      return undefined;
    }
  }

  /** The store is right: what it does not have is known no more. */
  private async forgetMissing(): Promise<void> {
    const { routes, certificates } = await this.opened();
    const keys = [...this.known.keys()];
    for (const [of, records] of [['routes', routes] as const, ['certificates', certificates] as const]) {
      const own = keys.filter((key) => splitKey(key).collection === of);
      for (let from = 0; from < own.length; from += recordsPerRead) {
        const page = own.slice(from, from + recordsPerRead);
        const reading: Promise<readonly unknown[]> = records.read(page.map((key) => splitKey(key).pattern));
        const found = await within(reading, readMs);
        // At once: what is set from now on stays known.
        this.known.remove(page.filter((_, i) => found[i] === null));
      }
    }
    this.known.releaseLost(true);
  }

  /** The primary has a connection of its own while it needs one. */
  private opened(): Promise<Store> {
    this.cancelIdle?.();
    this.cancelIdle = this.setTimer(idleMs, () => this.closeStore());
    const open = this.options.open ?? openStore;
    this.store ??= open(this.config.driver, { create: false, deadSet: false });
    return this.store;
  }

  private closeStore(): void {
    this.cancelIdle?.();
    this.cancelIdle = null;
    const { store } = this;
    this.store = null;
    store?.then((opened) => opened.close()).catch(ignore);
  }
}

const wiped =
  'the store does not have most of the known routes any more; they are still served until they are back, ' +
  'or until "hipache route accept" says that they were removed';

const unjudged = 'the wipe guard cannot read the store: routes that are not found there are served until it can';

/** Where it could not be read when the alarm was raised, the time that it tells decides. */
function isNewer(accepted: string, alarm: Alarm): boolean {
  if (alarm.accepted !== undefined) return accepted !== alarm.accepted;
  return Date.parse(accepted.split(' ', 1)[0] ?? '') > alarm.sinceMs;
}

function isMost({ gone, sample, routes }: SampleResult): boolean {
  return gone >= wipedShareMin * sample && routes >= wipedRoutesMin;
}

function estimate(gone: number, sample: number, routes: number): number {
  return sample === 0 ? 0 : Math.round((gone / sample) * routes);
}

function ignore(): void {}
