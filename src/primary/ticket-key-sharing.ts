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
    this.work = this.work.then(() => this.begin()).catch((error: Error) => this.report(error));
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

  private async begin(): Promise<void> {
    await this.end();
    const { acme, compat, driver, https } = this.config;
    if (this.isClosed || !https.sharedTicketKeys || https.bind.length === 0) return;
    const store = await openStore(driver, { serving: true, log: this.log, deadSet: compat.deadSet });
    this.store = store;
    const { notes } = store;
    const keys = new SharedTicketKeys({
      ...{ notes, passphrase: acme.passphrase, now: systemClock.epochMs, onKeys: this.onKeys },
    });
    const look = async (): Promise<void> => {
      await keys.look().catch((error: Error) => this.report(error));
      if (this.store !== store) return;
      this.timer = setTimeout(() => void look(), ticketLookMs * (0.8 + 0.4 * Math.random()));
      this.timer.unref();
    };
    // The first look may wait for the store.
    void look();
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
