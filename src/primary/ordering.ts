import { systemClock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { within } from '../base/timer.ts';
import type { Config } from '../config/config.ts';
import { openStore } from '../stores/open-store.ts';
import type { CertificateOrders } from './certificate-orders.ts';

/** Between two attempts to begin, in ms. */
const againMs = 10_000;
/** How long the end of the program waits for what is under way, in ms. */
const closeMs = 1000;
/** How long a start waits for it, in ms. */
const beginMs = 5000;

/** Certificates that the instance orders, if an authority is configured. Otherwise nothing of it is loaded. */
export class Ordering {
  /** Totals. */
  readonly counters = { begun: 0, issued: 0, failed: 0, checkFailed: 0 };
  private config: Config;
  private readonly instance: string;
  private readonly log: Log;
  private readonly onLooked: (name: string) => void;
  private readonly problems: RateLimitedLog;
  private orders: CertificateOrders | null = null;
  private work: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;
  private isClosed = false;

  /** @param onLooked the certificate of a name was looked after. */
  constructor(config: Config, instance: string, log: Log, onLooked: (name: string) => void) {
    this.config = config;
    this.instance = instance;
    this.log = log;
    this.problems = new RateLimitedLog(log.error, systemClock);
    this.onLooked = onLooked;
  }

  /** Orders that may still be begun in this hour; null if nothing is ordered. */
  get left(): number | null {
    return this.orders?.left ?? null;
  }

  /** A client waits for the certificate of a name. @param address of the client. */
  wanted(name: string, address: string): void {
    // It may be beginning.
    void this.work.then(() => {
      if (this.orders === null) this.onLooked(name);
      else this.orders.wanted(name, address);
    });
  }

  /** Takes a new configuration. */
  follow(config: Config): void {
    const isSame = partsOf(config) === partsOf(this.config);
    this.config = config;
    if (!isSame) this.start();
  }

  /** Resolves once it follows what is written, or after a moment: a store may hang. */
  async begun(): Promise<void> {
    await within(this.work, beginMs).catch(() => {});
  }

  /** Resolves once nothing is under way, or after a moment: a store may hang. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.start();
    await within(this.work, closeMs).catch(() => {});
  }

  /** Ends what runs, and begins with the present configuration: one after the other, and nothing waits for it. */
  start(): void {
    this.work = this.work.then(async () => {
      if (this.timer !== null) clearTimeout(this.timer);
      this.timer = null;
      const { orders } = this;
      this.orders = null;
      await orders?.close().catch(() => {});
      if (!this.isClosed && this.config.acme.directory.length > 0) this.orders = await this.begin();
    });
  }

  private async begin(): Promise<CertificateOrders | null> {
    const { config, counters, instance, log, onLooked } = this;
    try {
      const { CertificateOrders } = await import('./certificate-orders.ts');
      return await CertificateOrders.start({ config, counters, instance, log, onLooked }, () =>
        openStore(config.driver, { serving: true, log, deadSet: config.compat.deadSet }),
      );
    } catch (error) {
      this.problems.report(`no certificates are ordered: ${(error as Error).message}`, {});
      // A store that cannot tell what is due never will.
      const isFinal = error instanceof HipacheError && error.code === 'STORE_UNSUPPORTED';
      if (!this.isClosed && !isFinal) this.timer = setTimeout(() => this.start(), againMs);
      return null;
    }
  }
}

/** The parts of a configuration that orders depend on. */
function partsOf({ acme, compat, driver }: Config): string {
  return JSON.stringify([acme, compat.deadSet, driver]);
}
