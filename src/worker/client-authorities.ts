import type { ClientAuthorities } from '../policy/client-authorities.ts';
import type { RouteCache } from '../route-cache/route-cache.ts';
import type { Frontend } from '../routing/frontend.ts';
import { normaliseHost } from '../routing/host.ts';

/** Whose certificates the clients of a name are asked for, by the options of its host; null if for none. Never rejects. */
export function clientAuthoritiesOf(
  routes: Pick<RouteCache, 'cached' | 'load'>,
  serverName: string,
): ClientAuthorities | null | Promise<ClientAuthorities | null> {
  const host = normaliseHost(serverName);
  if (host === null) return null;
  const cached = routes.cached(host);
  if (cached !== undefined) return authoritiesOf(cached);
  // A request of an unknown host cannot be served either.
  return routes.load(host).then(authoritiesOf, () => null);
}

function authoritiesOf(frontend: Frontend | null): ClientAuthorities | null {
  return frontend?.policy?.clientAuthorities ?? null;
}
