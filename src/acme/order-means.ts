import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../stores/contract.ts';
import type { Accounts, CertificateAuthority } from './accounts.ts';
import type { AuthorityLimits, Refused } from './authority-limits.ts';
import type { Prover } from './complete-order.ts';
import type { NameCheck } from './name-check.ts';

/** Totals. */
export interface OrderCounters {
  /** Orders that were begun at an authority. */
  begun: number;
  issued: number;
  failed: number;
  /** Orders that were not begun because the proof of the name would not be found. */
  checkFailed: number;
}

/** All that the orders of a fleet have in common. */
export interface OrderMeansOfFleet {
  readonly store: Pick<Store, 'notes' | 'certificates'>;
  readonly instance: string;
  /** Asked in this order; at least one. */
  readonly authorities: readonly CertificateAuthority[];
  readonly accounts: Accounts;
  readonly limits: AuthorityLimits;
  readonly prover: Prover;
  /** Right before an order is begun; null: no proof is looked for. */
  readonly check: Pick<NameCheck, 'find'> | null;
  /** Encrypts keys in the store; null: they are in clear. */
  readonly passphrase: string | null;
  readonly wishOf: (pattern: string) => Promise<CertificateWish>;
  /** Why none may be ordered now; null if one may. Asked right before an order is begun. */
  readonly whyNot: (order: PlannedOrder) => Promise<Refused | null>;
  /** How long a certificate that is not wanted any more is kept after its end, in ms. */
  readonly graceMs: number;
  readonly counters: OrderCounters;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly clock: Pick<Clock, 'epochMs'>;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** Waits so many ms; for tests. */
  readonly pause?: (ms: number) => Promise<void>;
}

/**
 * Whether a pattern is to have a certificate by an order: because of a route of its own, or of a wildcard that covers it, so that
 * a client may have made up the name. A host that is covered needs none: a certificate is ordered for the wildcard right above it.
 */
export type CertificateWish = 'none' | 'covered' | 'own' | 'inherited';

/** An order that is about to be begun. */
export interface PlannedOrder {
  readonly pattern: string;
  readonly wish: CertificateWish;
  /** Whether it replaces a certificate that was ordered. */
  readonly isRenewal: boolean;
}

/** How a look at a pattern has ended. Times are epoch ms. */
export type OrderOutcome =
  /** Another process orders for it. */
  | { readonly kind: 'busy'; readonly holder: string }
  /** It has a certificate, or is to have none. */
  | { readonly kind: 'kept'; readonly untilMs: number }
  | { readonly kind: 'issued'; readonly notAfterMs: number }
  | { readonly kind: 'removed' }
  | { readonly kind: 'waits'; readonly why: string; readonly untilMs: number }
  | { readonly kind: 'failed'; readonly why: string; readonly untilMs: number };
