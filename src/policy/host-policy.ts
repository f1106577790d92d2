import type { FrontendLoad } from '../routing/frontend.ts';
import type { RetryBudgetLimits } from '../routing/retry-budget.ts';
import type { Selector } from '../routing/selector.ts';

/** What one host may do, and how it is treated: compiled once, shared by every host without options of its own. */
export interface HostPolicy {
  /** Chooses the backend of a request. */
  readonly selector: Selector;
  /** Requests in flight, by this worker. */
  readonly requestsMax: number;
  /** Tunnels, by this worker. */
  readonly tunnelsMax: number;
  /** Further attempts of one request; 0 disables them. */
  readonly retriesMax: number;
  readonly retryBudget: RetryBudgetLimits;
  /** Bytes of a request's body that are kept for a further attempt. */
  readonly retryBodyBytesMax: number;
  /** How long a dead mark lasts, in ms; 0: backends are not marked. */
  readonly downMs: number;
  /** Whether a response with status 500 marks its backend. */
  readonly downOn500: boolean;
}

/** Why the host may not have one more request, or tunnel; empty if it may. */
export function whyNotAdmitted(policy: HostPolicy, load: FrontendLoad, isTunnel: boolean): string {
  if (load.inFlight >= policy.requestsMax) return `${load.inFlight} requests in flight`;
  return isTunnel && load.tunnels >= policy.tunnelsMax ? `${load.tunnels} tunnels` : '';
}
