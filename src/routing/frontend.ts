import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from './backend.ts';
import type { BalancingState } from './balancing-state.ts';
import type { RetryBudget } from './retry-budget.ts';

/** A part of a record that is unusable: skipped, logged once, and shown by `hipache explain`. */
export interface RecordProblem {
  /** The problem and its position, such as `backend 2 "htp://x": …`. */
  readonly message: string;
}

export const noDraining: readonly Backend[] = [];

/** Backends of a frontend among which one is chosen. */
export interface BackendGroup {
  /** Of the frontend. */
  readonly pattern: string;
  /** Their URLs are unique. */
  readonly backends: readonly Backend[];
  /** Whether backends differ by their weights or as backups, so that the choice must look at each. */
  readonly weighted: boolean;
  /** Whether some of several backends are backups. */
  readonly hasBackups: boolean;
  /** Null until a way of balancing needs it. */
  balancing: BalancingState | null;
}

/** The backends for a share of the clients. */
export interface Canary extends BackendGroup {
  /** In percent, 0.1 to 99.9. */
  readonly share: number;
}

/**
 * The parsed record of one host pattern. Its backends, policy, retry budget, load and balancing change later. As a group,
 * it has the backends of all clients that are not in the canary.
 */
export interface Frontend extends BackendGroup {
  /** The first element of the record, for logs and debug fields. */
  readonly id: string;
  /** `id` as written to the access log: latin1, with characters that could end a quoted part escaped as `\xHH`. */
  readonly logId: string;
  /** Further backends of the record, which drain: `Backend.drainUntilMs`. */
  readonly draining: readonly Backend[];
  /** Further backends, for a share of the clients; null for none. */
  readonly canary: Canary | null;
  readonly problems: readonly RecordProblem[];
  /** The options of its pattern, unchecked; null for none. */
  readonly options: ReadonlyMap<string, string> | null;
  /** Settings of this host, from its options and those that it inherits; null: those of the data plane. */
  policy: HostPolicy | null;
  /** Belongs to the pattern: it is kept when the record changes. */
  readonly retryBudget: RetryBudget;
  /** Belongs to the pattern, like `retryBudget`. */
  readonly load: FrontendLoad;
}

/** All backends that get requests. */
export function servingBackends({ backends, canary }: Frontend): readonly Backend[] {
  return canary === null ? backends : [...backends, ...canary.backends];
}

/** Requests of a frontend that wait for a backend, or for a place among those in flight. */
export interface WaitingRequests {
  readonly size: number;
  /** The record, a mark or the options may differ. */
  changed(frontend: Frontend): void;
  /** The record is gone. */
  gone(): void;
  /** A request is not in flight any more. */
  placeFreed(): void;
}

/** Requests and tunnels of a frontend in this worker. */
export interface FrontendLoad {
  inFlight: number;
  /** Including unfinished handshakes. */
  tunnels: number;
  /** Requests that wait, and are not in flight; null for none. */
  waiting: WaitingRequests | null;
}
