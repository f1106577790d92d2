import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from './backend.ts';
import type { RetryBudget } from './retry-budget.ts';

/** A part of a record that cannot be used: skipped, logged once, shown by `hipache explain`. */
export interface RecordProblem {
  /** The problem and its position, for example `backend 2 "htp://x": …`. */
  readonly message: string;
}

/** What is served for one host pattern: the parsed record. Immutable but for its backends' marks and load. */
export interface Frontend {
  readonly pattern: string;
  /** The first element of the record, for logs and debug headers. */
  readonly id: string;
  /** `id` as it stands in a line of the access log: latin1, with what could end a quoted part escaped as `\xHH`. */
  readonly logId: string;
  /** No two with the same URL. */
  readonly backends: readonly Backend[];
  /** Whether the backends have different weights, so that the draw has to look at them. */
  readonly weighted: boolean;
  readonly problems: readonly RecordProblem[];
  /** Settings of this host; null: those of the data plane. */
  readonly policy: HostPolicy | null;
  /** Of the pattern: carried from one record to the next. */
  readonly retryBudget: RetryBudget;
  /** Of the pattern, like `retryBudget`. */
  readonly load: FrontendLoad;
}

/** Requests and tunnels of a frontend in this worker. */
export interface FrontendLoad {
  inFlight: number;
  /** With handshakes that have not been answered. */
  tunnels: number;
}
