import { readOrderState } from '../acme/order-state.ts';
import type { Store } from '../stores/contract.ts';

/** An order that waits, has failed, or is under way. Times are ISO 8601, UTC. */
export interface WaitingOrder {
  readonly pattern: string;
  /** `asked`: an operator wants it now, or the host has just been written. */
  readonly state: 'failed' | 'waits' | 'under way' | 'asked';
  readonly nextAt: string | null;
  readonly failures: number;
  readonly detail: string | null;
}

/** Notes that are read: more than anybody reads. */
const ordersMax = 10_000;

/**
 * The orders that are not at rest, the next attempt first.
 * @throws HipacheError STORE_UNSUPPORTED for a store that cannot tell.
 */
export async function waitingOrders({ notes }: Pick<Store, 'notes'>, nowMs: number): Promise<WaitingOrder[]> {
  const found = await notes.due(Number.MAX_SAFE_INTEGER, ordersMax);
  return found.flatMap(({ text }): WaitingOrder[] => {
    const { failure, isForced, issued, order, pattern, removeAtMs } = readOrderState(text);
    const nextAt = failure === null ? null : new Date(failure.untilMs).toISOString();
    const [failures, detail] = [failure?.count ?? 0, failure?.detail ?? null];
    if (pattern === '') return [];
    if (failure !== null && failure.untilMs > nowMs) {
      return [{ pattern, state: failures > 0 ? 'failed' : 'waits', nextAt, failures, detail }];
    }
    if (order !== null) return [{ pattern, state: 'under way', nextAt: null, failures, detail }];
    if (isForced || failure !== null || (issued === null && removeAtMs === null)) {
      return [{ pattern, state: 'asked', nextAt: null, failures, detail }];
    }
    return [];
  });
}
