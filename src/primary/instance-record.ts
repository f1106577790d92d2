import { hostname } from 'node:os';
import { backOffMs } from '../base/back-off.ts';
import { systemClock } from '../base/clock.ts';
import { CoalescedTask } from '../base/coalesced-task.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { StoreWatch } from '../route-cache/store-watch.ts';
import type { InstanceCollection, Store } from '../stores/contract.ts';
import { describeDriver, openStore } from '../stores/open-store.ts';

/** How long an instance is remembered after it was last heard of, and how often it says that it is there, in ms. */
const rememberedMs = 30_000;
const everyMs = 10_000;
/** Pauses until the workers are asked again, when they have not applied everything yet. */
const againPauses = { firstMs: 250, longestMs: everyMs };
/** How long the end of the program may wait for the store, in ms. */
const withdrawMs = 500;

export interface InstanceRecordOptions {
  readonly config: Config;
  readonly instance: string;
  readonly log: Log;
  /** Asks the workers that serve. @returns how many, and the lowest revision that they have applied. */
  readonly ask: () => Promise<{ readonly workers: number; readonly revision: number }>;
}

/** Tells a shared store what this instance has applied; does nothing with a store that instances do not share. */
export class InstanceRecord {
  private readonly options: InstanceRecordOptions;
  private readonly problems: RateLimitedLog;
  private readonly since = new Date(systemClock.epochMs()).toISOString();
  private store: Store | null = null;
  private watch: StoreWatch | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly telling = new CoalescedTask(() => this.tell());
  private behind = 0;

  constructor(options: InstanceRecordOptions) {
    this.options = options;
    this.problems = new RateLimitedLog(options.log.warn, systemClock);
  }

  async start(): Promise<void> {
    const { config, log } = this.options;
    if (!describeDriver(config.driver).shared) return;
    // The workers log problems of the store.
    const store = await openStore(config.driver, { serving: true, deadSet: false });
    if (store.instances === null || this.telling.isClosed) {
      await store.close();
      return;
    }
    this.store = store;
    this.watch = new StoreWatch({ store });
    const tell = (): void => void this.telling.request();
    this.watch.add({ restored: tell, revised: tell });
    await this.watch
      .start()
      .catch((error: Error) => log.warn('the record of this instance cannot be written', { error }));
    tell();
  }

  /** The record goes at once where the store is there, else by itself. */
  async close(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.watch?.close();
    const { store } = this;
    const told = this.telling.close();
    if (store === null) return;
    const withdrawn = told.then(() => store.instances?.remove(this.options.instance));
    const timer = new Promise((resolve) => setTimeout(resolve, withdrawMs));
    await Promise.race([withdrawn.catch(ignore), timer]);
    await store.close();
  }

  /** A request that comes meanwhile waits for the pause as well: the revision may be raised with every write. */
  private async tell(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    const instances = this.store?.instances;
    if (instances == null) return;
    const isCurrent = await this.write(instances);
    if (this.telling.isClosed) return;
    this.behind = isCurrent ? 0 : this.behind + 1;
    const isSoon = this.telling.takeRequest() || !isCurrent;
    const delayMs = isSoon ? backOffMs(againPauses, this.behind + 1) : everyMs;
    this.timer = setTimeout(() => void this.telling.request(), delayMs);
    this.timer.unref();
  }

  /** @returns whether the workers have applied what the store has. */
  private async write(instances: InstanceCollection): Promise<boolean> {
    try {
      const wanted = await instances.revision();
      const { workers, revision } = await this.options.ask();
      const fields = {
        revision: String(revision),
        workers: String(workers),
        version: packageVersion(),
        host: hostname(),
        since: this.since,
      };
      await instances.write(this.options.instance, fields, rememberedMs);
      return revision >= wanted;
    } catch (error) {
      // The workers log a store that is lost; an account that may only read keeps its instance to itself.
      const isKnown = error instanceof HipacheError && ['STORE_UNAVAILABLE', 'STORE_DENIED'].includes(error.code);
      if (!isKnown) this.problems.report('the record of this instance cannot be written', { error: error as Error });
      return true;
    }
  }
}

function ignore(): void {}
