import { systemClock } from '../base/clock.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { setRealTimer } from '../base/timer.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { type HookCounters, webhookSender } from '../platform/host-event.ts';
import { IdleHosts } from '../platform/idle-hosts.ts';
import { WakeUps } from '../platform/wake-ups.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';

/** Tells platforms of their hosts, on behalf of the workers. The first event opens a connection to the store. */
export class PlatformEvents {
  readonly counters: HookCounters = { sent: 0, failed: 0, dropped: 0 };
  private config: Config;
  private readonly log: Log;
  private readonly open: typeof openStore;
  private readonly wakeUps: WakeUps;
  private readonly idleHosts: IdleHosts;
  private store: Promise<Store> | null = null;
  private isClosed = false;

  /** @param open opens the store. */
  constructor(config: Config, instance: string, log: Log, open = openStore) {
    this.config = config;
    this.log = log;
    this.open = open;
    const problems = new RateLimitedLog(log.warn, systemClock);
    const options = {
      notes: async () => (await this.opened()).notes,
      instance,
      send: webhookSender(packageVersion()),
      counters: this.counters,
      clock: systemClock,
      setTimer: setRealTimer,
      onProblem: (what: string, fields: Readonly<Record<string, unknown>>) => problems.report(what, fields),
    };
    this.wakeUps = new WakeUps(options);
    this.idleHosts = new IdleHosts(options);
  }

  /** Requests of a host wait for a backend. */
  asleep(pattern: string, target: HookTarget): void {
    this.wakeUps.asleep(pattern, target);
  }

  /** A backend of a host that was asleep is there. */
  awake(pattern: string): void {
    this.wakeUps.awake(pattern);
  }

  /** Workers have served these hosts. */
  used(hosts: readonly UsedHost[]): void {
    if (!this.isClosed) this.idleHosts.used(hosts);
  }

  /** How many instances share the store. */
  share(instances: number): void {
    this.idleHosts.share(instances);
  }

  /** Takes a new configuration. */
  follow(config: Config): void {
    const isSame = JSON.stringify(config.driver) === JSON.stringify(this.config.driver);
    this.config = config;
    if (!isSame) void this.closeStore();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.wakeUps.close();
    this.idleHosts.close();
    await this.closeStore();
  }

  private opened(): Promise<Store> {
    if (this.isClosed) return Promise.reject(new Error('the program ends'));
    const { config, log } = this;
    if (this.store === null) {
      const opening = this.open(config.driver, { serving: true, log, deadSet: config.compat.deadSet });
      this.store = opening;
      opening.catch(() => {
        if (this.store === opening) this.store = null;
      });
    }
    return this.store;
  }

  private async closeStore(): Promise<void> {
    const { store } = this;
    this.store = null;
    const opened = await store?.catch(() => null);
    await opened?.close();
  }
}
