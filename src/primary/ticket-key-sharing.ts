import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import type { Config } from '../config/config.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import { SharedTicketKeys, ticketLookMs } from '../tls/shared-ticket-keys.ts';
import type { TicketKeys } from '../tls/ticket-keys.ts';

/** Follows the ticket keys of the fleet, if they are shared, on its own connection to the store. */
export class TicketKeySharing {
  private config: Config;
  private readonly log: Log;
  private readonly problems: RateLimitedLog;
  private readonly onKeys: (keys: TicketKeys) => void;
  private store: Store | null = null;
  private work: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;
  private isClosed = false;

  constructor(config: Config, log: Log, onKeys: (keys: TicketKeys) => void) {
    this.config = config;
    this.log = log;
    this.problems = new RateLimitedLog(log.warn, systemClock);
    this.onKeys = onKeys;
  }

  /** Begins, or begins anew with the present configuration. Nothing waits for it. */
  start(): void {
    this.work = this.work.then(async () => {
      await this.end();
      if (!this.isClosed && this.config.https.sharedTicketKeys && this.config.https.bind.length > 0) await this.begin();
    });
  }

  follow(config: Config): void {
    const isSame = partsOf(config) === partsOf(this.config);
    this.config = config;
    if (!isSame) this.start();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.end();
  }

  /** A store that cannot be opened now is tried again. */
  private async begin(): Promise<void> {
    const { acme, compat, driver } = this.config;
    try {
      const store = await openStore(driver, { serving: true, log: this.log, deadSet: compat.deadSet });
      if (this.isClosed) {
        await store.close();
        return;
      }
      this.store = store;
      const { notes } = store;
      const onKeys = (keys: TicketKeys): void => {
        if (this.store === store) this.onKeys(keys);
      };
      const keys = new SharedTicketKeys({ notes, passphrase: acme.passphrase, now: systemClock.epochMs, onKeys });
      // The first look may wait for the store.
      void this.look(keys, store);
    } catch (error) {
      this.report(error as Error);
      this.again(() => this.start());
    }
  }

  private async look(keys: SharedTicketKeys, store: Store): Promise<void> {
    await keys.look().catch((error: Error) => this.report(error));
    if (this.store === store) this.again(() => void this.look(keys, store));
  }

  private again(action: () => void): void {
    if (this.isClosed) return;
    this.timer = setTimeout(action, ticketLookMs * (0.8 + 0.4 * Math.random()));
    this.timer.unref();
  }

  private async end(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    const { store } = this;
    this.store = null;
    await store?.close().catch(() => {});
  }

  private report(error: Error): void {
    if (this.isClosed) return;
    this.problems.report('the ticket keys of the fleet cannot be read: sessions are resumed with those known before', {
      error,
    });
  }
}

function partsOf({ acme, compat, driver, https }: Config): string {
  return JSON.stringify([acme.passphrase, compat.deadSet, driver, https.sharedTicketKeys, https.bind.length > 0]);
}
