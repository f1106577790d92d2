import type { Backend } from './backend.ts';
import type { Frontend } from './frontend.ts';

/**
 * Whether `backend` may be marked dead: only if its frontend has another backend that is not marked, because a doubtful
 * backend is better than none.
 */
export function mayMarkDown(frontend: Frontend, backend: Backend, nowMs: number): boolean {
  const backends = frontend.backends;
  for (let i = 0; i < backends.length; i++) {
    const other = backends[i] as Backend;
    if (other.url !== backend.url && !other.isDown(nowMs)) return true;
  }
  return false;
}

/**
 * Whether a response with this status marks its backend dead: 501 and above, and 500 with `deadBackendOn500`. A 503
 * with `Retry-After` does not: it means that the application is in maintenance, not that it is broken.
 */
export function isMarkingStatus(status: number, hasRetryAfter: boolean, deadBackendOn500: boolean): boolean {
  if (status < 500 || status > 599) return false;
  if (status === 500) return deadBackendOn500;
  return !(status === 503 && hasRetryAfter);
}
