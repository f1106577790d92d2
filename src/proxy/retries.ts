import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import { hasRemaining } from '../routing/choice.ts';
import type { Frontend } from '../routing/frontend.ts';
import { retriesDisabled, retriesUsedUp } from './local-reply.ts';

/** A request whose last attempt has failed. */
interface RetriedExchange {
  readonly policy: HostPolicy;
  readonly attempts: number;
  /** Monotonic ms. */
  readonly firstAttemptMs: number;
  /** Backends that have failed; null for none. */
  tried: Backend[] | null;
}

/**
 * Takes a retry from the budget of the frontend.
 * @returns null, or the text of the reply if no further attempt is allowed.
 */
export function reserveRetry(
  exchange: RetriedExchange,
  frontend: Frontend,
  failed: Backend,
  nowMs: number,
): string | null {
  const { policy } = exchange;
  if (policy.retriesMax === 0) return retriesDisabled;
  if (exchange.attempts > policy.retriesMax) return retriesUsedUp;
  if (nowMs - exchange.firstAttemptMs > policy.retryForMs) return retriesUsedUp;
  exchange.tried ??= [];
  exchange.tried.push(failed);
  if (!hasRemaining(frontend, exchange.tried)) return retriesUsedUp;
  return frontend.retryBudget.takeRetry(nowMs, policy.retryBudget) ? null : retriesUsedUp;
}
