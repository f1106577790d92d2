import type { Backend } from './backend.ts';
import type { Frontend } from './frontend.ts';

/**
 * Whether `backend` may be marked dead: only if its frontend has another backend that is not marked, because a doubtful
 * backend is better than none. So the last one that is no backup may be marked while a backup can serve, and the other
 * way round. A canary always may: its clients get other backends then.
 */
export function mayMarkDown(frontend: Frontend, backend: Backend, nowMs: number): boolean {
  const { backends, canary } = frontend;
  if (canary?.backends.some(({ url }) => url === backend.url)) return true;
  for (let i = 0; i < backends.length; i++) {
    const other = backends[i] as Backend;
    if (other.url !== backend.url && !other.isDown(nowMs)) return true;
  }
  return false;
}

/** The weight of a failure: whether it marks its backend dead. */
export type Marking = 'never' | 'at once' | 'by share';

/** When responses and time-outs mark a backend dead. */
export interface MarkingRule {
  /** Whether the first 502, 503, 504 or time-out marks, as in Hipache 0.4. Otherwise a share of failures does. */
  readonly byFirst: boolean;
  /** Whether a 500 counts as a failure. It never marks at once. */
  readonly on500: boolean;
  /** Failures of the last 5 to 10 s that mark, if they are also the share below. */
  readonly failuresMin: number;
  /** Share of that time's requests that marks, 0 to 1. */
  readonly share: number;
}

/**
 * Judges a backend by the status of a response. A 503 with `Retry-After` announces maintenance. Statuses that a
 * client can provoke, such as 501 by an unknown method, say nothing.
 */
export function markingOfStatus(status: number, hasRetryAfter: boolean, rule: MarkingRule): Marking {
  switch (status) {
    case 500:
      return rule.on500 ? 'by share' : 'never';
    case 503:
      if (hasRetryAfter) return 'never';
      return rule.byFirst ? 'at once' : 'by share';
    case 502:
    case 504:
      return rule.byFirst ? 'at once' : 'by share';
    default:
      return 'never';
  }
}
