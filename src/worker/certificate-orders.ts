import { HttpChallenges } from '../acme/http-challenges.ts';
import { QuestionLimit } from '../acme/question-limit.ts';
import { TlsChallenges } from '../acme/tls-challenges.ts';
import { systemClock } from '../base/clock.ts';
import type { Config } from '../config/config.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { LocalResponder } from '../proxy/local-responder.ts';
import type { RouteCache } from '../route-cache/route-cache.ts';
import type { Store } from '../stores/contract.ts';
import type { ChallengeContexts } from '../tls/tls-listener.ts';

/* The part of a worker in the orders of certificates, which the primary makes. */

/** How a worker shows proofs to authorities. */
export interface Challenges {
  /** Responds before any rule of a host. */
  readonly responders: readonly LocalResponder[];
  /** Null if nothing is ordered. */
  readonly contexts: ChallengeContexts | null;
}

export function challengesOf({ acme }: Config, { notes }: Pick<Store, 'notes'>): Challenges {
  if (acme.directory.length === 0) return { responders: [], contexts: null };
  const limit = new QuestionLimit(systemClock.monotonicMs);
  const challenges = new HttpChallenges(notes, limit);
  const responder: LocalResponder = {
    isHealthCheck: false,
    respond({ path }, peer) {
      const found = challenges.find(path, peer);
      return found === null ? null : found.then((text) => (text === null ? null : { status: 200, text }));
    },
  };
  return { responders: [responder], contexts: new TlsChallenges(notes, limit, systemClock.epochMs) };
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
