import { HttpChallenges } from '../acme/http-challenges.ts';
import { systemClock } from '../base/clock.ts';
import type { Config } from '../config/config.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { LocalResponder } from '../proxy/local-responder.ts';
import type { RouteCache } from '../route-cache/route-cache.ts';
import type { Store } from '../stores/contract.ts';

/* The part of a worker in the orders of certificates, which the primary makes. */

/** Responds to authorities that ask for proofs, before any rule of a host. */
export function challengeResponders({ acme }: Config, { notes }: Pick<Store, 'notes'>): LocalResponder[] {
  if (acme.directory.length === 0) return [];
  const challenges = new HttpChallenges(notes, systemClock.monotonicMs);
  const responder: LocalResponder = {
    isHealthCheck: false,
    respond({ path }) {
      const found = challenges.find(path);
      return found === null ? null : found.then((text) => (text === null ? null : { status: 200, text }));
    },
  };
  return [responder];
}

/** Whether a certificate is to be ordered for a name that a client has chosen: its host has a route, and wants one. */
export async function ordersCertificate(
  routes: Pick<RouteCache, 'cached' | 'load' | 'confirmAbsent'>,
  policy: HostPolicy,
  name: string,
): Promise<boolean> {
  try {
    const cached = routes.cached(name);
    const found = cached ?? (await (cached === undefined ? routes.load(name) : routes.confirmAbsent(name)));
    return found !== null && (found.policy ?? policy).ordersCertificate;
  } catch {
    return false;
  }
}
