import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';

/** Where the proxy gets its routes from: declared here, implemented by the route cache of `stores/`. */
export interface RouteSource {
  /** The frontend of a normalised host, null where none matches, undefined where that is not known without asking. */
  cached(host: string): Frontend | null | undefined;
  /** As `cached`, asking the store for what is not known. Never rejects where anything known can serve. */
  load(host: string): Promise<Frontend | null>;
  /** Marks a backend dead for `ttlMs`, here at once and for others through the store. */
  markDown(frontend: Frontend, backend: Backend, reason: string, ttlMs: number): void;
}
