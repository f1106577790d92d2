import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';

/** Where the proxy gets its routes from; `route-cache/` implements it. */
export interface RouteSource {
  /**
   * The frontend of a normalised host, or of a host and port (`nameWithPort`); null if none matches; undefined if only
   * the store knows.
   */
  cached(host: string): Frontend | null | undefined;
  /** Like `cached`, but asks the store if needed. Rejects only if nothing known can serve. */
  load(host: string): Promise<Frontend | null>;
  /**
   * The frontend of a host for which `cached` has just found none, looked up once more: its route may have been written
   * a moment ago. Null if it is not looked up: the store is away, or that would be too often. Never rejects.
   */
  confirmAbsent(host: string): Promise<Frontend | null> | null;
  /**
   * The frontend as it is known now, of a request that has waited: its record may have changed since. The same one if the record
   * is gone, or was made anew: then its load is another object.
   */
  current(frontend: Frontend): Frontend;
  /**
   * The policy of a host without a route, or of `*`: that of the wildcard patterns that cover it, as far as their options are known.
   * Null if none are.
   */
  policyWithoutRoute(host: string): HostPolicy | null;
  /** Marks a backend dead for `ttlMs`: in this worker at once, elsewhere through the store. */
  markDown(frontend: Frontend, backend: Backend, reason: string, ttlMs: number): void;
}
