import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import { type Marking, markingOfStatus } from '../routing/health.ts';
import type { ProxyContext } from './context.ts';
import { type Failure, isStale, markingOf } from './failure.ts';

/** The exchange of which a response or failure tells something about a backend. */
interface JudgedExchange {
  readonly frontend: Frontend | null;
  readonly clientAddress: string;
  /** Whether the client's request has been read completely. */
  readonly requestComplete: boolean;
}

/** Counts a response of the backend, and marks the backend dead if that is due. */
export function judgeResponse(
  backend: Backend,
  status: number,
  hasRetryAfter: boolean,
  exchange: JudgedExchange,
  policy: HostPolicy,
  context: ProxyContext,
): void {
  if (status < 500) {
    judge(backend, 'never', '', exchange, policy, context);
    return;
  }
  const reason = `status ${status}`;
  judge(backend, markingOfStatus(status, hasRetryAfter, policy.marking), reason, exchange, policy, context);
  report(backend, reason, exchange, context);
}

/** Counts a failure of the backend, and marks the backend dead if that is due. */
export function judgeFailure(
  backend: Backend,
  failure: Failure,
  exchange: JudgedExchange,
  policy: HostPolicy,
  context: ProxyContext,
): void {
  const marking = markingOf(failure, exchange.requestComplete, policy.marking.byFirst);
  if (marking !== 'never') judge(backend, marking, failure.code, exchange, policy, context);
  if (!isStale(failure)) report(backend, failure.code, exchange, context);
}

function judge(
  backend: Backend,
  marking: Marking,
  reason: string,
  { clientAddress, frontend }: JudgedExchange,
  policy: HostPolicy,
  { clock, routes }: ProxyContext,
): void {
  if (frontend === null) return;
  backend.countOutcome(clock.monotonicMs(), clientAddress, marking !== 'never');
  if (marking === 'never' || policy.downMs === 0) return;
  if (marking === 'by share' && backend.outcomes?.isFailing(policy.marking) !== true) return;
  routes.markDown(frontend, backend, reason, policy.downMs);
}

function report(backend: Backend, reason: string, { frontend }: JudgedExchange, { observer }: ProxyContext): void {
  if (frontend !== null) observer.backendFailed?.(backend, frontend.pattern, reason);
}
