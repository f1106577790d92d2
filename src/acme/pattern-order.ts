import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { backOffMs } from '../base/back-off.ts';
import type { StoredCertificate } from '../stores/contract.ts';
import type { CertificateAuthority } from './accounts.ts';
import type { AcmeClient } from './acme-client.ts';
import { AcmeError } from './acme-error.ts';
import type { Refused } from './authority-limits.ts';
import { certificateIdentifier } from './certificates.ts';
import { type ChallengeKind, completeOrder, type Prover } from './complete-order.ts';
import type { Order } from './messages.ts';
import type { CertificateWish, OrderMeansOfFleet, OrderOutcome } from './order-means.ts';
import { wildcardAbove } from './order-name.ts';
import {
  dueAt,
  enlistOrder,
  fingerprintOf,
  isSameButRequested,
  keyOf,
  type OrderState,
  orderNoteName,
  orderStateText,
  pemOf,
  readOrderState,
} from './order-state.ts';
import { decideRenewal } from './renewal-decision.ts';
import { renewalTime } from './renewal-plan.ts';

interface FailedAttempt {
  readonly error: AcmeError;
  /** Null if none was asked. */
  readonly authority: string | null;
}

const generate = promisify(generateKeyPair);
const hourMs = 3600_000;

/** How long an authority may take for one step of an order, in ms. */
const stepMsMax = 5 * 60_000;
/** Pauses after failures of one name, in ms. */
const failurePauses = { firstMs: 60_000, longestMs: 24 * hourMs, spread: [0.8, 1.2] } as const;
const failuresCounted = 20;
/** Checks that have failed before a certificate is renewed nevertheless. */
const checksOfRenewal = 3;
/** Between two orders of one name that nobody has asked for, in ms. */
const betweenOrdersMs = hourMs;
/** How long a failure is remembered of a name that a client may have made up, after its next attempt would be made, in ms. */
const rememberedMs = 24 * hourMs;
/** Attempts that are made at least between now and the end of a certificate. */
const attemptsBeforeEnd = 8;
/** Difference between the clock here and the dates of a new certificate that is of no concern, in ms. */
const clockToleranceMs = 5 * 60_000;
/** So authorities refuse an order that says what it replaces; each has its own word for what it does not know. */
const irreplaceable: ReadonlySet<string> = new Set(['alreadyReplaced', 'malformed', 'unauthorized']);
/** After these, an order may still come to its end. */
const passing: ReadonlySet<string> = new Set([
  ...['unreachable', 'badNonce', 'rateLimited', 'serverInternal', 'busy', 'keyUnreadable'],
]);

/** One look at one pattern, under its lease. */
export class PatternOrder {
  private readonly means: OrderMeansOfFleet;
  private readonly pattern: string;
  private readonly checkLease: () => void;
  private state: OrderState = readOrderState(null);
  private wish: CertificateWish = 'none';
  /** How the name can be proved; null for an order that was begun before. */
  private kinds: readonly ChallengeKind[] | null = null;
  /** Directories of the authorities where it can; null: any. */
  private provableAt: readonly string[] | null = null;
  /** Of the note. */
  private text: string | null = null;
  /** The certificate that was in the store. */
  private presentText: string | null = null;

  /** @param checkLease throws if the lease is lost. */
  constructor(means: OrderMeansOfFleet, pattern: string, checkLease: () => void) {
    this.means = means;
    this.pattern = pattern;
    this.checkLease = checkLease;
  }

  async look(): Promise<OrderOutcome> {
    const { authorities, clock, store, whyNot, wishOf } = this.means;
    const { pattern } = this;
    this.text = await store.notes.read(orderNoteName(pattern));
    const stored = readOrderState(this.text);
    // Nobody goes on with the order at an authority that is configured no more.
    const isKnown = authorities.some(({ directory }) => directory === stored.order?.authority);
    this.state = isKnown ? stored : { ...stored, order: null };
    const [found] = await store.certificates.read([pattern]);
    const present = found == null || found.problem !== undefined ? null : found;
    const { failure, isForced, issued, order } = this.state;
    const isOurs = present !== null && issued?.fingerprint === fingerprintOf(present.certificate);
    this.wish = await wishOf(pattern);
    if (this.wish === 'none' || this.wish === 'covered') return await this.letGo(isOurs);
    // Wanted again: when it is to be renewed is asked and drawn anew.
    if (this.state.removeAtMs !== null) this.state = { ...this.state, removeAtMs: null, renewal: null };
    this.presentText = present?.certificate ?? null;
    if (!isForced && present !== null) {
      // Somebody has put a certificate there while an order was under way.
      if (order !== null && !isOurs && !this.isOfOrder(present)) this.state = { ...this.state, order: null };
      const kept = this.state.order === null ? await this.keptUntil(present, isOurs) : null;
      if (kept !== null) return kept;
    }
    // The clock of the instance that has written it may have been ahead.
    const isBelievable = failure !== null && failure.atMs <= clock.epochMs() + clockToleranceMs;
    if (isBelievable && clock.epochMs() < failure.untilMs && (!isForced || failure.type === 'waits')) {
      await this.save(this.state);
      return { kind: 'waits', why: failure.detail, untilMs: failure.untilMs };
    }
    const { held, open } = await this.openAuthorities(isOurs);
    if (open.length === 0 && held !== null) return await this.wait(held);
    if (this.state.order === null) {
      const soon = this.whySoon(isOurs);
      if (soon !== null) return await this.wait(soon);
      const unproved = await this.check();
      if (unproved !== null && !this.isIgnored(unproved, isOurs)) return await this.failCheck(unproved, isOurs);
      const refused = await whyNot({ pattern, wish: this.wish, isRenewal: isOurs });
      if (refused !== null) return await this.wait(refused);
    }
    return await this.order(open, isOurs);
  }

  /** Finds how the name can be proved. @returns why it cannot; null if it can. */
  private async check(): Promise<AcmeError | null> {
    const { check, prover } = this.means;
    const isWildcard = this.pattern.startsWith('*.');
    const name = isWildcard ? this.pattern.slice(2) : this.pattern;
    try {
      const { authorities, kinds } =
        check === null
          ? { kinds: prover.kindsFor(name, isWildcard), authorities: null }
          : await check.find(name, isWildcard);
      this.kinds = kinds;
      this.provableAt = authorities;
      if (kinds.length > 0) return null;
      return new AcmeError('no challenge can be met here: see acme.challenges', { type: 'noChallenge' });
    } catch (error) {
      if (!(error instanceof AcmeError)) throw error;
      return error;
    }
  }

  /** A name that was proved before may be proved again, although this instance does not see it. */
  private isIgnored({ type }: AcmeError, isRenewal: boolean): boolean {
    return isRenewal && type === 'checkFailed' && (this.state.failure?.count ?? 0) >= checksOfRenewal;
  }

  private async failCheck(error: AcmeError, isRenewal: boolean): Promise<OrderOutcome> {
    this.means.counters.checkFailed++;
    this.means.log.warn(`${this.pattern}: no certificate is ordered: ${error.message}`, { type: error.type });
    return await this.fail({ error, authority: null }, isRenewal);
  }

  /** The authorities that may be asked now, in order, and the limit of the others that ends first. */
  private async openAuthorities(
    isRenewal: boolean,
  ): Promise<{ readonly open: CertificateAuthority[]; readonly held: Refused | null }> {
    const { authorities, limits } = this.means;
    const begunAt = this.state.order?.authority;
    const open: CertificateAuthority[] = [];
    let held: Refused | null = null;
    for (const authority of authorities.toSorted(
      (a, b) => Number(b.directory === begunAt) - Number(a.directory === begunAt),
    )) {
      const { directory } = authority;
      const limit = await limits.find(directory, isRenewal || directory === begunAt ? null : this.pattern);
      if (limit === null) open.push(authority);
      else if (held === null || limit.untilMs < held.untilMs) held = limit;
    }
    return { open, held };
  }

  /** Null if the certificate is to be replaced now. */
  private async keptUntil(present: StoredCertificate, isOurs: boolean): Promise<OrderOutcome | null> {
    const untilMs = isOurs ? await this.renewalAt() : this.endOfForeign(present);
    if (this.means.clock.epochMs() >= untilMs) return null;
    // The store has to know that nothing is due before, also after a failure.
    await this.save({ ...this.state, failure: null });
    return { kind: 'kept', untilMs };
  }

  /** A new certificate that is due already was issued for too short a time, or a clock is wrong: that must not go round. */
  private whySoon(isOurs: boolean): Refused | null {
    const { isForced, issued } = this.state;
    if (!isOurs || issued === null || isForced) return null;
    const untilMs = issued.atMs + betweenOrdersMs;
    if (this.means.clock.epochMs() >= untilMs) return null;
    return { why: 'its certificate was ordered a short time ago, and is due already: is the clock right?', untilMs };
  }

  /** The pattern is to have no certificate: the one that was ordered for it is left to its end, and then removed. */
  private async letGo(isOurs: boolean): Promise<OrderOutcome> {
    const { clock, graceMs, log, store } = this.means;
    const { issued } = this.state;
    const untilMs = isOurs && issued !== null ? issued.notAfterMs + (this.wish === 'covered' ? 0 : graceMs) : 0;
    const above = this.wish === 'covered' ? wildcardAbove(this.pattern) : null;
    if (above !== null) await enlistOrder(store.notes, above, clock.epochMs());
    if (clock.epochMs() < untilMs) {
      await this.save({ ...this.state, removeAtMs: untilMs, order: null, failure: null, isForced: false });
      return { kind: 'kept', untilMs };
    }
    if (isOurs) {
      await store.certificates.remove(this.pattern);
      log.info(`${this.pattern}: certificate removed: it has ended, and no host wants another one`);
    }
    await store.notes.write(orderNoteName(this.pattern), null, { expected: this.text });
    return { kind: 'removed' };
  }

  /** The end of a certificate that was put into the store by somebody else. It is not replaced before. */
  private endOfForeign({ certificate }: StoredCertificate): number {
    let atMs: number;
    try {
      atMs = Date.parse(new X509Certificate(certificate).validTo);
    } catch {
      return 0;
    }
    this.state = { ...this.state, issued: null, renewal: { atMs, askAtMs: null, window: null } };
    return atMs;
  }

  /** When the certificate that was ordered is to be renewed. */
  private async renewalAt(): Promise<number> {
    const { issued, renewal } = this.state;
    if (issued === null) return 0;
    const decided = await decideRenewal(this.pattern, issued, renewal, this.means);
    this.state = { ...this.state, renewal: decided };
    return decided.atMs;
  }

  /** Nothing was ordered: that is not a failure of the name. */
  private async wait({ untilMs, why }: Refused): Promise<OrderOutcome> {
    const count = this.state.failure?.count ?? 0;
    const failure = { count, atMs: this.means.clock.epochMs(), untilMs, type: 'waits', detail: why, authority: null };
    await this.save({ ...this.state, failure });
    return { kind: 'waits', why, untilMs };
  }

  /** Goes on with the order that is under way, or begins one, at one authority after the other. */
  private async order(authorities: readonly CertificateAuthority[], isRenewal: boolean): Promise<OrderOutcome> {
    const { counters, log } = this.means;
    let last: FailedAttempt = {
      error: new AcmeError('no authority that may be asked now finds the standing record of the name', {
        type: 'checkFailed',
      }),
      authority: null,
    };
    for (const authority of authorities) {
      if (this.provableAt?.includes(authority.directory) === false) continue;
      const ended = await this.attempt(authority, isRenewal);
      if (typeof ended === 'number') {
        counters.issued++;
        return { kind: 'issued', notAfterMs: ended };
      }
      const { message, type } = ended;
      last = { error: ended, authority: authority.directory };
      log.warn(`${this.pattern}: no certificate from ${authority.directory}: ${message}`, { type });
      // The name does not point here, or shows no proof: another authority would find the same.
      if (type === 'authorizationFailed') break;
    }
    counters.failed++;
    return await this.fail(last, isRenewal);
  }

  /** @returns the end of the new certificate, in epoch ms; or why there is none. */
  private async attempt(authority: CertificateAuthority, isRenewal: boolean): Promise<number | AcmeError> {
    const { accounts, limits } = this.means;
    let concerned: string | null = null;
    try {
      const client = await accounts.client(authority);
      concerned = this.pattern;
      return await this.orderAt(client, authority, isRenewal);
    } catch (error) {
      if (!(error instanceof AcmeError)) throw error;
      // Authorities do not limit renewals as they do new orders.
      const isOfName = isRenewal && concerned !== null && error.status !== 503;
      if (!isOfName) await limits.refused(authority.directory, concerned, error);
      return error;
    }
  }

  private async fail(last: FailedAttempt, isRenewal: boolean): Promise<OrderOutcome> {
    const { clock, random } = this.means;
    const { message: detail, status, type } = last.error;
    const count = (this.state.failure?.count ?? 0) + 1;
    const atMs = clock.epochMs();
    // A certificate that ends soon leaves no time for long pauses.
    const leftMs = (this.state.issued?.notAfterMs ?? Number.POSITIVE_INFINITY) - atMs;
    const usualMs = last.authority === null ? hourMs : failurePauses.longestMs;
    const longestMs = Math.min(usualMs, Math.max(hourMs, leftMs / attemptsBeforeEnd));
    const pauseMs = backOffMs({ ...failurePauses, longestMs }, Math.min(count, failuresCounted), random());
    const { held, open } = await this.openAuthorities(isRenewal);
    const heldMs = open.length === 0 ? (held?.untilMs ?? 0) : 0;
    // The limit of a renewal is that of the name alone.
    const limitMs = isRenewal ? atMs + (last.error.retryAfterMs ?? 0) : 0;
    const untilMs = Math.max(Math.round(atMs + pauseMs), heldMs, limitMs);
    // A proxy before an authority knows no types of its own.
    const isPassing = passing.has(type) || status === 429 || status >= 500;
    const order = isPassing ? this.state.order : null;
    const failure = { count, atMs, untilMs, type, detail, authority: last.authority };
    await this.save({ ...this.state, order, failure, isForced: false });
    this.means.log.info(
      `${this.pattern}: the next attempt for its certificate is at ${new Date(untilMs).toISOString()}`,
    );
    return { kind: 'failed', why: detail, untilMs };
  }

  /** @returns the end of the new certificate, in epoch ms. */
  private async orderAt(known: AcmeClient, authority: CertificateAuthority, isRenewal: boolean): Promise<number> {
    const { accounts, passphrase, pause, store } = this.means;
    let client = known;
    const { key, order } = await this.openOrder(client, authority, isRenewal).catch(async (error: unknown) => {
      if (!(error instanceof AcmeError)) throw error;
      client = await accounts.replaced(authority, known, error);
      return await this.openOrder(client, authority, isRenewal);
    });
    const certificate = await completeOrder(client, order, {
      ...{ prover: this.checkedProver(), key, stepMsMax, preferredChain: authority.preferredChain },
      ...(pause === undefined ? {} : { pause }),
    });
    this.checkLease();
    const [present = null] = await store.certificates.read([this.pattern]);
    if ((present?.certificate ?? null) !== this.presentText && !this.state.isForced) {
      throw new Error('somebody else has put a certificate there during the order: that one is kept');
    }
    await store.certificates.write(this.pattern, { certificate, key: pemOf(key, passphrase) });
    return await this.keep(authority, certificate);
  }

  /** Whether a certificate is that of the order, whose holder has ended before it could say so. */
  private isOfOrder({ certificate }: StoredCertificate): boolean {
    const { order } = this.state;
    try {
      return (
        order !== null && new X509Certificate(certificate).checkPrivateKey(keyOf(order.key, this.means.passphrase))
      );
    } catch {
      return false;
    }
  }

  /** Shows proofs in the way that was found by the check. */
  private checkedProver(): Prover {
    const { prover } = this.means;
    const { kinds } = this;
    if (kinds === null) return prover;
    return {
      kindsFor: () => kinds,
      show: (proof) => prover.show(proof),
      withdraw: (proof) => prover.withdraw(proof),
    };
  }

  /** The order that is under way, or a new one, and the key of its certificate. Both are in the store then. */
  private async openOrder(
    client: AcmeClient,
    authority: CertificateAuthority,
    isRenewal: boolean,
  ): Promise<{ readonly order: Order; readonly key: KeyObject }> {
    const { clock, counters, limits, passphrase } = this.means;
    const { directory, profile } = authority;
    const begun = this.state.order;
    if (begun?.authority === directory) {
      const order = await client.order(begun.url).then(({ of }) => of, nullIfUnknown);
      if (order !== null && order.status !== 'invalid') {
        // Others leave it to this process.
        await this.save(this.state);
        return { order, key: keyOf(begun.key, passphrase) };
      }
    }
    const { privateKey: key } = await generate('ec', { namedCurve: 'P-256' });
    const { issued } = this.state;
    const replaces = isRenewal && issued?.authority === directory ? issued.identifier : null;
    const wanted = { names: [this.pattern], profile, replaces };
    this.checkLease();
    const order = await client.newOrder(wanted).catch((error: unknown) => {
      // RFC 9773 section 5: another order has replaced the certificate, or it is that of a former account.
      const isRefused = error instanceof AcmeError && error.status >= 400 && irreplaceable.has(error.type);
      if (replaces === null || !isRefused) throw error;
      return client.newOrder({ ...wanted, replaces: null });
    });
    counters.begun++;
    const kept = { authority: directory, url: order.url, key: pemOf(key, passphrase), begunMs: clock.epochMs() };
    // At once: nobody knows of the order otherwise, if this process ends.
    await this.save({ ...this.state, order: kept, orders: this.state.orders + 1 });
    await limits.served(directory);
    return { order, key };
  }

  /** Keeps what is known of the certificate that is in the store now. @returns its end, in epoch ms. */
  private async keep(authority: CertificateAuthority, certificate: string): Promise<number> {
    const { clock, log, random } = this.means;
    const { validFrom, validTo } = new X509Certificate(certificate);
    const issued = {
      authority: authority.directory,
      identifier: certificateIdentifier(certificate),
      fingerprint: fingerprintOf(certificate),
      notBeforeMs: Date.parse(validFrom),
      notAfterMs: Date.parse(validTo),
      atMs: clock.epochMs(),
    };
    const nowMs = issued.atMs;
    log.info(`${this.pattern}: certificate issued by ${authority.directory}, until ${validTo}`);
    if (issued.notBeforeMs > nowMs + clockToleranceMs || issued.notAfterMs < nowMs) {
      log.warn(
        `${this.pattern}: the new certificate is valid from ${validFrom} to ${validTo}, and it is ` +
          `${new Date(nowMs).toUTCString()} on this machine: is its clock right?`,
      );
    }
    const renewal = { atMs: renewalTime(issued, null, random()), askAtMs: nowMs, window: null };
    await this.save({ ...this.state, issued, renewal, order: null, failure: null, isForced: false });
    return issued.notAfterMs;
  }

  /** @throws Error if another process has written the state, so that the lease must have been lost. */
  private async save(state: OrderState): Promise<void> {
    const text = orderStateText({ ...state, pattern: this.pattern });
    const nowMs = this.means.clock.epochMs();
    const { failure, isForced, issued, order } = state;
    // A client may have made up the name: nobody looks at it again unless a client asks, and then it is forgotten.
    const isPassing = this.wish === 'inherited' && issued === null && order === null && failure !== null && !isForced;
    if (isPassing) {
      // A note that is due does not end by itself.
      if (this.text !== null) await this.write(null, {});
      await this.write(text, { ttlMs: Math.max(0, failure.untilMs - nowMs) + rememberedMs });
    } else await this.write(text, { dueMs: dueAt(state, nowMs) });
    this.state = state;
  }

  private async write(
    text: string | null,
    condition: { readonly dueMs?: number; readonly ttlMs?: number },
  ): Promise<void> {
    const { notes } = this.means.store;
    const name = orderNoteName(this.pattern);
    if (!(await notes.write(name, text, { ...condition, expected: this.text }))) {
      // An operator may have asked for an order meanwhile: this is the one.
      const found = await notes.read(name);
      const isAsked =
        found !== null && this.text !== null && isSameButRequested(readOrderState(found), readOrderState(this.text));
      if (!isAsked || !(await notes.write(name, text, { ...condition, expected: found }))) {
        throw new Error(`another process orders the certificate of ${this.pattern} too`);
      }
    }
    this.text = text;
  }
}

/** An authority that does not know an order any more has none. */
function nullIfUnknown(error: unknown): null {
  const isUnknown =
    error instanceof AcmeError &&
    error.status >= 400 &&
    error.status < 500 &&
    error.status !== 429 &&
    !passing.has(error.type);
  if (!isUnknown || error.type === 'accountDoesNotExist') throw error;
  return null;
}
