import { setTimeout as delay } from 'node:timers/promises';
import { standingRecord } from '../acme/accounts.ts';
import type { TextRecord } from '../acme/dns-records.ts';
import { whyNotOrderable, wildcardAbove } from '../acme/order-name.ts';
import { type OrderState, orderNoteName, readOrderState, requestOrder } from '../acme/order-state.ts';
import { HipacheError } from '../base/errors.ts';
import { parsePattern, wildcardPatterns } from '../routing/host.ts';
import type { NoteTexts, Store } from '../stores/contract.ts';
import { type ListedCertificate, toListed } from './certificates.ts';
import type { Operation } from './operation.ts';
import { certificateWish, type OrderedHosts, provesByDns } from './wanted-certificate.ts';

/** The part of a configuration that says what is ordered. */
export interface OrderingConfig extends OrderedHosts {
  readonly directory: readonly string[];
  /** Undefined: it is not known. */
  readonly passphrase: string | null | undefined;
}

/** @param config null if none is read. */
export function orderingOf(config: { readonly acme: OrderingConfig } | null): OrderingConfig {
  return config?.acme ?? { directory: [], hosts: 'listed', challenges: [], passphrase: undefined };
}

/** Everything about the certificate of a host. Times are ISO 8601, UTC. */
export interface CertificateStanding {
  readonly pattern: string;
  readonly certificate: ListedCertificate | null;
  /** The wildcard whose certificate is served if the host has none of its own; null if there is none. */
  readonly coveredBy: string | null;
  /** Whether the host has a route and the option `tls` is `auto` for it. */
  readonly isWanted: boolean;
  /** The wildcard for which a certificate is ordered that the host uses; null if it is to have its own. */
  readonly orderedAs: string | null;
  /** The standing DNS records that let the fleet order (DNS-PERSIST-01), one for each authority; none if that is not used, or without an account. */
  readonly records: readonly TextRecord[];
  /** Why no authority issues a certificate for the name; null if it may. */
  readonly notOrderable: string | null;
  /** Whether the configuration names an authority. */
  readonly isOrdering: boolean;
  /** The authority that has issued the certificate; null if it was not ordered. */
  readonly authority: string | null;
  readonly renewal: { readonly at: string; readonly window: string | null; readonly explanation: string | null } | null;
  readonly order: { readonly authority: string; readonly url: string; readonly since: string } | null;
  readonly failure: FailedOrder | null;
  readonly orders: number;
}

interface FailedOrder {
  readonly at: string;
  readonly nextAt: string;
  readonly type: string;
  readonly detail: string;
  readonly authority: string | null;
  readonly count: number;
}

type Parts = Pick<Store, 'certificates' | 'notes' | 'routes'>;

const askEveryMs = 250;

/** Explains the certificate of a host. @throws HipacheError COMMAND_INVALID. */
export function certificateStanding(host: string, ordering: OrderingConfig): Operation<Parts, CertificateStanding> {
  const pattern = parsePattern(host);
  return async (store) => {
    const covering = wildcardPatterns(pattern).slice(0, 1);
    const [own = null, ofParent = null] = await store.certificates.read([pattern, ...covering]);
    const state = readOrderState(await store.notes.read(orderNoteName(pattern)));
    const { failure, issued, order, renewal } = state;
    const wish = await certificateWish(store, pattern, ordering);
    return {
      pattern,
      certificate: own === null ? null : toListed(pattern, own, ordering.passphrase),
      coveredBy: own === null && ofParent !== null ? (covering[0] ?? null) : null,
      isWanted: wish !== 'none',
      orderedAs: wish === 'covered' ? wildcardAbove(pattern) : null,
      records: await recordsFor(store.notes, pattern, ordering),
      notOrderable: whyNotOrderable(pattern, provesByDns(ordering)),
      isOrdering: ordering.directory.length > 0,
      authority: own === null ? null : (issued?.authority ?? null),
      renewal: own === null || issued === null || renewal === null ? null : toRenewal(renewal),
      order: order === null ? null : { authority: order.authority, url: order.url, since: iso(order.begunMs) },
      failure: failure === null ? null : toFailure(failure),
      orders: state.orders,
    };
  };
}

/**
 * Has a new certificate ordered by the instances, and waits for it.
 * @param waitMs how long. @param now epoch ms.
 * @throws HipacheError COMMAND_INVALID; CERTIFICATE_ORDER_FAILED with the reason.
 */
export function orderCertificate(
  host: string,
  ordering: OrderingConfig,
  waitMs: number,
  now: () => number,
): Operation<Parts, CertificateStanding> {
  const pattern = parsePattern(host);
  const problem = whyNotOrderable(pattern, provesByDns(ordering));
  if (problem !== null) throw new HipacheError('COMMAND_INVALID', `${pattern}: no authority issues for it: ${problem}`);
  return async (store) => {
    const wish = await certificateWish(store, pattern, ordering);
    if (wish === 'covered') {
      const above = wildcardAbove(pattern);
      throw new HipacheError('NOT_FOUND', `${pattern} uses the certificate of ${above}: order that one`);
    }
    if (wish === 'none') {
      throw new HipacheError(
        'NOT_FOUND',
        `${pattern} has no route, or its option tls is not auto: "hipache option set ${pattern} tls auto"`,
      );
    }
    const before = readOrderState(await store.notes.read(orderNoteName(pattern)));
    if (!(await requestOrder(store.notes, pattern, now()))) {
      throw new HipacheError('CONFLICT', `the order of ${pattern} is being changed all the time; try again`);
    }
    const state = await settled(store, pattern, now() + waitMs, now);
    const { failure } = state;
    if (failure !== null && failure.atMs !== before.failure?.atMs) {
      const again = `the next attempt is at ${iso(failure.untilMs)}`;
      throw new HipacheError('CERTIFICATE_ORDER_FAILED', `${pattern}: ${failure.detail}; ${again}`);
    }
    if (state.isForced || state.order !== null) {
      const why =
        state.order === null ? 'no instance has begun: is acme.directory configured there' : 'it is under way';
      throw new HipacheError(
        'CERTIFICATE_ORDER_FAILED',
        `${pattern}: no certificate within ${Math.round(waitMs / 1000)} s: ${why}; "hipache cert why ${pattern}" says more`,
      );
    }
    return await certificateStanding(host, ordering)(store);
  };
}

/** The state once nothing is under way, or has to wait for its next attempt; or at the end of the time. */
async function settled(store: Parts, pattern: string, endMs: number, now: () => number): Promise<OrderState> {
  for (;;) {
    const state = readOrderState(await store.notes.read(orderNoteName(pattern)));
    const waits = state.failure !== null && state.failure.untilMs > now();
    if ((!state.isForced && (state.order === null || waits)) || now() >= endMs) return state;
    await delay(askEveryMs);
  }
}

async function recordsFor(
  notes: NoteTexts,
  pattern: string,
  { challenges, directory }: OrderingConfig,
): Promise<TextRecord[]> {
  if (!challenges.includes('dns-persist-01')) return [];
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  const records = await Promise.all(directory.map((one) => standingRecord(notes, one, name)));
  return records.filter((record) => record !== null);
}

function toRenewal({ atMs, window }: NonNullable<OrderState['renewal']>): CertificateStanding['renewal'] {
  return {
    at: iso(atMs),
    window: window === null ? null : `${iso(window.startMs)} to ${iso(window.endMs)}`,
    explanation: window?.explanationUrl ?? null,
  };
}

function toFailure(failure: NonNullable<OrderState['failure']>): FailedOrder {
  const { atMs, authority, count, detail, type, untilMs } = failure;
  return { at: iso(atMs), nextAt: iso(untilMs), type, detail, authority, count };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
