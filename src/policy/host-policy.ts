import type { FrontendLoad } from '../routing/frontend.ts';
import type { MarkingRule } from '../routing/health.ts';
import type { RetryBudgetLimits } from '../routing/retry-budget.ts';
import type { Selector } from '../routing/selector.ts';

/** The limits and behaviour for one host: built once, and shared by all hosts without options of their own. */
export interface HostPolicy {
  /** Chooses the backend of a request. */
  readonly selector: Selector;
  /** Requests in flight, for this worker. */
  readonly requestsMax: number;
  /** Tunnels, for this worker. */
  readonly tunnelsMax: number;
  /** Retries of one request; 0 disables them. */
  readonly retriesMax: number;
  /** How long after its first attempt a request may be sent to another backend, in ms. */
  readonly retryForMs: number;
  /** Whether an idempotent request is also retried after the backend did not respond in time. */
  readonly retryTimeouts: boolean;
  readonly retryBudget: RetryBudgetLimits;
  /** Largest request body kept for a retry, in bytes. */
  readonly retryBodyBytesMax: number;
  /** How long a dead mark lasts, in ms; 0: backends are never marked. */
  readonly downMs: number;
  readonly marking: MarkingRule;
}

/** Why the host may not have another request or tunnel; empty if it may. */
export function whyNotAdmitted(policy: HostPolicy, load: FrontendLoad, isTunnel: boolean): string {
  if (load.inFlight >= policy.requestsMax) return `${load.inFlight} requests in flight`;
  return isTunnel && load.tunnels >= policy.tunnelsMax ? `${load.tunnels} tunnels` : '';
}
