import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from './backend.ts';
import type { RetryBudget } from './retry-budget.ts';

/** A part of a record that is unusable: skipped, logged once, and shown by `hipache explain`. */
export interface RecordProblem {
  /** The problem and its position, such as `backend 2 "htp://x": …`. */
  readonly message: string;
}

export const noDraining: readonly Backend[] = [];

/** The parsed record of one host pattern. Only its backends, retry budget and load change later. */
export interface Frontend {
  readonly pattern: string;
  /** The first element of the record, for logs and debug fields. */
  readonly id: string;
  /** `id` as written to the access log: latin1, with characters that could end a quoted part escaped as `\xHH`. */
  readonly logId: string;
  /** Their URLs are unique. */
  readonly backends: readonly Backend[];
  /** Further backends of the record, which drain: `Backend.drainUntilMs`. */
  readonly draining: readonly Backend[];
  /** Whether the weights differ, so that the draw must consider them. */
  readonly weighted: boolean;
  readonly problems: readonly RecordProblem[];
  /** Settings of this host; null: those of the data plane. */
  readonly policy: HostPolicy | null;
  /** Belongs to the pattern: it is kept when the record changes. */
  readonly retryBudget: RetryBudget;
  /** Belongs to the pattern, like `retryBudget`. */
  readonly load: FrontendLoad;
}

/** Requests and tunnels of a frontend in this worker. */
export interface FrontendLoad {
  inFlight: number;
  /** Including unfinished handshakes. */
  tunnels: number;
}
