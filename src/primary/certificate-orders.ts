import { Accounts, type CertificateAuthority } from '../acme/accounts.ts';
import { AuthorityLimits } from '../acme/authority-limits.ts';
import { NameCheck } from '../acme/name-check.ts';
import { NameOrders } from '../acme/name-orders.ts';
import { allowancesOf, allowancesOfClient } from '../acme/order-allowances.ts';
import { OrderBudget } from '../acme/order-budget.ts';
import type { CertificateWish, OrderCounters, OrderMeansOfFleet, OrderOutcome } from '../acme/order-means.ts';
import { whyNotOrderable, wildcardAbove } from '../acme/order-name.ts';
import { dueAt, enlistOrder, orderNoteName, readOrderState } from '../acme/order-state.ts';
import { PatternQueue } from '../acme/pattern-queue.ts';
import { FleetProver } from '../acme/proving.ts';
import { PublicDns } from '../acme/public-dns.ts';
import { findStandingRecord } from '../acme/standing-records.ts';
import { systemClock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { within } from '../base/timer.ts';
import type { Config } from '../config/config.ts';
import { authoritiesOf } from '../operations/authorities.ts';
import { certificateWish, provesByDns } from '../operations/wanted-certificate.ts';
import type { CollectionName, NoteTexts, Store } from '../stores/contract.ts';

/** How often it is looked for what is due, in ms, on average. */
const lookEveryMs = 5000;
/** Patterns that are taken at a time. */
const dueMax = 50;
/** Orders that are under way at a time, and patterns that were written and are read. */
const ordersAtOnceMax = 8;
const readingsAtOnceMax = 16;
/** The same for names that clients may have made up, and how many of them wait. */
const guestsAtOnceMax = 3;
const guestsWaitingMax = 100;
/** Names that clients have asked for, with their addresses, which wait to be read. */
const askedWaitingMax = 10_000;
/** When a note is looked at again that this instance can do nothing with, in ms. */
const laterMs = 3600_000;
/** How long the end of the program waits for what is under way, in ms. Other instances go on with it. */
const closeMs = 500;
/** For a response to the check of a name, in ms. */
const checkMs = 5000;
const wholeCheckMs = 15_000;
const dayMs = 24 * 3600_000;

export interface CertificateOrderParts {
  readonly config: Config;
  readonly instance: string;
  readonly log: Log;
  /** The certificate of a name was looked after. */
  readonly onLooked: (name: string) => void;
  readonly counters: OrderCounters;
}

/** Orders and renews certificates, on its own connection to the store, with the configuration of its start. */
export class CertificateOrders {
  private readonly parts: CertificateOrderParts;
  private readonly problems: RateLimitedLog;
  private readonly store: Store;
  private readonly budget: OrderBudget;
  private readonly byDns: boolean;
  /** Patterns whose orders are due, those that clients wait for, and those that may have to be enlisted. */
  private readonly due: PatternQueue<OrderOutcome>;
  /** Names that clients may have made up: they keep nobody else waiting. */
  private readonly guests: PatternQueue<OrderOutcome>;
  private readonly asked: PatternQueue<void>;
  private readonly written: PatternQueue<void>;
  private timer: NodeJS.Timeout | null = null;
  /** Orders that the fleet may still begin in this hour, when it was last read. */
  left: number;
  private isClosed = false;

  private constructor(parts: CertificateOrderParts, store: Store, authorities: readonly CertificateAuthority[]) {
    const { config, counters, instance, log, onLooked } = parts;
    const { acme } = config;
    const { notes } = store;
    this.parts = parts;
    this.store = store;
    this.problems = new RateLimitedLog(log.warn, systemClock);
    this.budget = new OrderBudget(notes);
    this.left = acme.ordersPerHourMax;
    this.byDns = provesByDns(acme);
    const limits = new AuthorityLimits(notes, systemClock.epochMs);
    const accounts = new Accounts({ notes, instance, passphrase: acme.passphrase });
    const orders = new NameOrders({
      ...{ store, instance, authorities, counters, log },
      accounts,
      limits,
      ...provedBy(config, { accounts, authorities, limits, notes }),
      passphrase: acme.passphrase,
      wishOf: (pattern) => this.wishOf(pattern),
      whyNot: (order) => this.budget.take(allowancesOf(order, acme), systemClock.epochMs()),
      graceMs: acme.keepRemovedDays * dayMs,
      clock: systemClock,
      random: Math.random,
    });
    const onProblem = (pattern: string, error: Error): void => {
      if (!this.isClosed) this.problems.report(`the certificate of ${pattern} cannot be looked after now`, { error });
    };
    const looks = {
      work: (pattern: string) => orders.look(pattern),
      // If another process orders, its certificate ends the wait of clients, or their time does.
      onDone: (pattern: string, outcome: OrderOutcome | null) => {
        if (outcome?.kind !== 'busy') onLooked(pattern);
      },
      onProblem,
    };
    this.due = new PatternQueue({ ...looks, atOnceMax: ordersAtOnceMax });
    this.guests = new PatternQueue({ ...looks, atOnceMax: guestsAtOnceMax, waitingMax: guestsWaitingMax });
    this.asked = new PatternQueue<void>({
      atOnceMax: readingsAtOnceMax,
      waitingMax: askedWaitingMax,
      work: async (asked) => {
        const { address, name } = askedOf(asked);
        if (!(await this.takeAsked(name, address))) onLooked(name);
      },
      onProblem: (asked, error) => {
        const { name } = askedOf(asked);
        onProblem(name, error);
        onLooked(name);
      },
    });
    this.written = new PatternQueue({
      atOnceMax: readingsAtOnceMax,
      work: (pattern) => this.enlist(pattern),
      onProblem,
    });
  }

  /**
   * Begins to look after certificates.
   * @param open opens the store.
   * @throws HipacheError STORE_UNSUPPORTED, and why the file of trusted authorities cannot be used.
   */
  static async start(parts: CertificateOrderParts, open: () => Promise<Store>): Promise<CertificateOrders> {
    const authorities = await authoritiesOf(parts.config.acme);
    const store = await open();
    const orders = new CertificateOrders(parts, store, authorities);
    try {
      await orders.watch();
      return orders;
    } catch (error) {
      await orders.close();
      throw error;
    }
  }

  /** A client waits for the certificate of a name, or uses one that ends. @param address of the client; empty for none. */
  wanted(name: string, address: string): void {
    if (!this.asked.add(`${address} ${name}`)) this.parts.onLooked(name);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await within(
      Promise.all([this.due, this.guests, this.asked, this.written].map((queue) => queue.close())),
      closeMs,
    ).catch(() => {});
    await this.store.close();
  }

  private async watch(): Promise<void> {
    await this.takeDue();
    await this.store.watch({
      changed: (collection, keys) => this.changed(collection, keys),
      // Changes of the time between may have been missed. Hosts that were written then are found by their first handshake.
      expired: () => {},
      lost: () => {},
      restored: () => {},
    });
  }

  /** A host that is written may want a certificate. Without DNS, wildcards get one for each name below them, when a client comes. */
  private changed(collection: CollectionName, keys: readonly string[]): void {
    if (collection === 'certificates') return;
    for (const key of keys) {
      const host = key.replace(/[/:].*$/s, '');
      if (!host.startsWith('*') || this.byDns) this.written.add(host);
    }
  }

  /** Whatever ends this instance: what was written is due from now on. Most changes have nothing to do with certificates. */
  private async enlist(pattern: string): Promise<void> {
    const { certificates, notes } = this.store;
    if (whyNotOrderable(pattern, this.byDns) !== null || !(await this.isWanted(pattern))) return;
    const [certificate] = await certificates.read([pattern]);
    if (certificate === null) await enlistOrder(notes, pattern, systemClock.epochMs());
    if (await this.isDue(pattern)) this.due.add(pattern);
  }

  /** @throws HipacheError STORE_UNSUPPORTED. */
  private async takeDue(): Promise<void> {
    try {
      const used = await this.budget.used('', systemClock.epochMs());
      this.left = Math.max(0, this.parts.config.acme.ordersPerHourMax - used);
      const due = await this.store.notes.due(systemClock.epochMs(), dueMax);
      for (const { name, text } of due) {
        const { issued, pattern } = readOrderState(text);
        if (whyNotOrderable(pattern, this.byDns) === null) this.due.add(pattern);
        // A note that nothing can be done with would come again and again, before all others.
        else if (whyNotOrderable(pattern, true) !== null && issued === null && pattern !== '') {
          await this.store.notes.write(name, null, { expected: text });
        }
        // Another instance, of another version or configuration, may know what to do.
        else await this.store.notes.write(name, text, { expected: text, dueMs: systemClock.epochMs() + laterMs });
      }
    } catch (error) {
      if (error instanceof HipacheError && error.code === 'STORE_UNSUPPORTED') throw error;
      if (!this.isClosed) this.problems.report('certificates cannot be looked after now', { error: error as Error });
    }
    if (this.isClosed) return;
    const afterMs = lookEveryMs * (0.5 + Math.random());
    this.timer = setTimeout(() => {
      this.takeDue().catch((error: Error) => this.problems.report('certificates are looked after no more', { error }));
    }, afterMs);
  }

  private wishOf(pattern: string): Promise<CertificateWish> {
    return certificateWish(this.store, pattern, this.parts.config.acme);
  }

  private async isWanted(pattern: string): Promise<boolean> {
    return ['own', 'inherited'].includes(await this.wishOf(pattern));
  }

  /** Takes a name that a client has asked for. @param address empty: its certificate ends. @returns whether it is looked at. */
  private async takeAsked(name: string, address: string): Promise<boolean> {
    const wish = await this.wishOf(name);
    const pattern = wish === 'covered' ? (wildcardAbove(name) ?? name) : name;
    if (!(await this.isDue(pattern))) return false;
    // A host with a route of its own any client may ask for.
    if (wish !== 'inherited' || address === '') return this.due.add(pattern);
    const { acme } = this.parts.config;
    const refused = await this.budget.take(allowancesOfClient(address, acme), systemClock.epochMs());
    if (refused !== null) this.problems.report('no certificate is ordered', { pattern, why: refused.why }, 'refused');
    return refused === null && this.guests.add(pattern);
  }

  /** Reads only, without a lease: most changes of routes have nothing to do with certificates. */
  private async isDue(pattern: string): Promise<boolean> {
    if (whyNotOrderable(pattern, this.byDns) !== null) return false;
    const text = await this.store.notes.read(orderNoteName(pattern));
    const state = readOrderState(text);
    const nowMs = systemClock.epochMs();
    if (!(await this.isWanted(pattern))) return false;
    if (state.failure !== null && state.failure.untilMs > nowMs && !state.isForced) return false;
    // An order that is under way has a holder, or its lease can be had.
    if (text === null || state.order !== null || state.removeAtMs !== null) return true;
    if (dueAt(state, nowMs) <= nowMs) return true;
    const [certificate] = await this.store.certificates.read([pattern]);
    return certificate === null && state.failure === null;
  }
}

/** A name that was asked for, of which a client can choose every character, behind the address of the client. */
function askedOf(asked: string): { readonly address: string; readonly name: string } {
  const space = asked.indexOf(' ');
  return { address: asked.slice(0, space), name: asked.slice(space + 1) };
}

/** How names are proved. */
function provedBy(
  { acme }: Config,
  {
    accounts,
    authorities,
    limits,
    notes,
  }: {
    readonly accounts: Accounts;
    readonly authorities: readonly CertificateAuthority[];
    readonly limits: AuthorityLimits;
    readonly notes: NoteTexts;
  },
): Pick<OrderMeansOfFleet, 'check' | 'prover'> {
  const { challenges, httpPort, nameServers, tlsPort } = acme;
  const dns = new PublicDns({ servers: nameServers, timeoutMs: checkMs });
  const records = acme.dns === null ? null : { ...acme.dns, dns, waitMs: acme.dns.waitSeconds * 1000 };
  const prover = new FleetProver(challenges, notes, records);
  if (!acme.check) return { prover, check: null };
  const check = new NameCheck({
    ...{ prover, httpPort, tlsPort, timeoutMs: checkMs },
    addresses: (name) => dns.addresses(name),
    standing: (name, isWildcard) =>
      findStandingRecord(name, isWildcard, { accounts, authorities, dns, limits, now: systemClock.epochMs }),
    checkMs: wholeCheckMs,
  });
  return { prover, check };
}
