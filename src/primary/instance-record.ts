import { hostname } from 'node:os';
import { backOffMs } from '../base/back-off.ts';
import { systemClock } from '../base/clock.ts';
import { CoalescedTask } from '../base/coalesced-task.ts';
import { HipacheError } from '../base/errors.ts';
import { drainsText } from '../base/host-drain.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer, within } from '../base/timer.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { StoreWatch } from '../route-cache/store-watch.ts';
import type { InstanceCollection, Store, StoredInstance } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import type { AppliedState } from './instance-metrics.ts';

/** How long the store keeps the record of an instance, and how often an instance writes it, in ms. */
const rememberedMs = 30_000;
const everyMs = 10_000;
/** After it was written, in ms, however often the store changes. */
const restMs = 100;
/** Pauses between questions to the workers while they have not applied everything yet. */
const againPauses = { firstMs: 100, longestMs: everyMs };
/** The same while commands wait for the end of a drain, in ms. */
const drainMs = 250;
/** Between two looks at a store that does not report changes by itself, in ms: ten times in a second cost next to nothing. */
const lookEveryMs = 100;
/** Between two counts of the instances, in ms, at least. */
const countEveryMs = 2000;
/** How long the end of the program may wait for the store, in ms. */
const withdrawMs = 500;

export interface InstanceRecordOptions {
  readonly config: Config;
  readonly instance: string;
  readonly log: Log;
  /** Asks the workers that serve for the revisions that they have applied. */
  readonly ask: () => Promise<AppliedState>;
  /** Known routes that the store does not have, and that are served; default: none. */
  readonly held?: () => number;
  /** What this instance has done lately, for the others; default: nothing. */
  readonly load?: () => string;
  /** Called with the records of the instances that share the store, every few seconds. */
  readonly onFleet?: (instances: readonly StoredInstance[]) => void;
  /** Default: `openStore`. */
  readonly open?: typeof openStore;
  readonly setTimer?: SetTimer;
}

/** Writes to a shared store which revision this instance has applied. Does nothing if instances do not share the store. */
export class InstanceRecord {
  private readonly options: InstanceRecordOptions;
  private readonly problems: RateLimitedLog;
  private readonly since = new Date(systemClock.epochMs()).toISOString();
  private store: Store | null = null;
  private watch: StoreWatch | null = null;
  private cancelTimer: (() => void) | null = null;
  private cancelRest: (() => void) | null = null;
  /** The store has changed during the rest. */
  private hasChanged = false;
  private readonly telling = new CoalescedTask(() => this.tell());
  private behind = 0;
  /** Monotonic ms. */
  private countedMs = Number.NEGATIVE_INFINITY;
  /** Commands wait for the end of the drain. */
  private isDraining = false;

  constructor(options: InstanceRecordOptions) {
    this.options = options;
    this.problems = new RateLimitedLog(options.log.warn, systemClock);
  }

  async start(): Promise<void> {
    const { config } = this.options;
    // The workers log problems of the store.
    const open = this.options.open ?? openStore;
    const store = await open(config.driver, { serving: true, deadSet: false, pollMs: lookEveryMs });
    if (store.instances === null || this.telling.isClosed) {
      await store.close();
      return;
    }
    this.store = store;
    this.watch = new StoreWatch({ store });
    const tell = (): void => this.tellSoon();
    // A store that was emptied has lost the record too.
    this.watch.add({ restored: tell, expired: tell, revised: tell });
    await this.watch.start();
    // Without word of changes as well, though later.
    if (!this.watch.connected) tell();
  }

  /** Writes the record again. */
  renew(): void {
    if (this.store !== null) this.tellSoon();
  }

  /** Removes the record. If the store cannot be reached, the record expires there. */
  async close(): Promise<void> {
    this.cancelTimer?.();
    this.cancelRest?.();
    this.watch?.close();
    const { store } = this;
    const told = this.telling.close();
    if (store === null) return;
    const withdrawn = told.then(() => store.instances?.remove(this.options.instance));
    await within(withdrawn, withdrawMs).catch(ignore);
    await store.close();
  }

  private tellSoon(): void {
    if (this.cancelRest === null) void this.telling.request();
    else this.hasChanged = true;
  }

  private async tell(): Promise<void> {
    this.cancelTimer?.();
    const instances = this.store?.instances;
    if (instances == null) return;
    const isCurrent = await this.write(instances);
    if (this.telling.isClosed) return;
    this.behind = isCurrent ? 0 : this.behind + 1;
    this.hasChanged = this.telling.takeRequest();
    const delayMs = this.isDraining ? drainMs : isCurrent ? everyMs : backOffMs(againPauses, this.behind);
    const setTimer = this.options.setTimer ?? setRealTimer;
    this.cancelTimer = setTimer(delayMs, () => this.tellSoon());
    this.cancelRest = setTimer(restMs, () => {
      this.cancelRest = null;
      if (this.hasChanged) this.tellSoon();
    });
  }

  /** Other instances come and go without a change of a route. */
  private async countFleet(instances: InstanceCollection): Promise<void> {
    const { onFleet } = this.options;
    const nowMs = systemClock.monotonicMs();
    if (onFleet === undefined || nowMs - this.countedMs < countEveryMs) return;
    this.countedMs = nowMs;
    onFleet(await instances.list());
  }

  /** @returns whether the workers have applied what the store has. */
  private async write(instances: InstanceCollection): Promise<boolean> {
    try {
      const { drains, workers: asked } = await this.options.ask();
      // A worker that has not noticed yet that the store went back to an earlier revision is ahead of it.
      const latest = await instances.revision();
      const applied = asked.map((worker) => (worker.revision > latest ? { ...worker, revision: 0 } : worker));
      const revision = applied.length === 0 ? 0 : Math.min(...applied.map((worker) => worker.revision));
      const fields = {
        revision: String(revision),
        applied: applied.map((worker) => `${worker.number}:${worker.revision}`).join(' '),
        workers: String(applied.length),
        held: String(this.options.held?.() ?? 0),
        draining: drainsText(drains),
        load: this.options.load?.() ?? '',
        version: packageVersion(),
        host: hostname(),
        since: this.since,
        at: new Date(systemClock.epochMs()).toISOString(),
      };
      await instances.write(this.options.instance, fields, rememberedMs);
      await this.countFleet(instances);
      this.isDraining = drains.some(({ inFlight }) => inFlight > 0);
      return revision >= latest;
    } catch (error) {
      // The workers log a store that is lost; an account that may only read keeps its instance to itself.
      const isKnown = error instanceof HipacheError && ['STORE_UNAVAILABLE', 'STORE_DENIED'].includes(error.code);
      if (!isKnown) this.problems.report('the record of this instance cannot be written', { error: error as Error });
      return true;
    }
  }
}

function ignore(): void {}
