import { networkOf } from '../base/client-network.ts';
import type { Backend } from './backend.ts';
import { isFree } from './choice.ts';
import type { BackendGroup, Canary, Frontend } from './frontend.ts';
import type { Asked, Selector } from './selector.ts';
import type { StickyCookie } from './sticky-cookie.ts';
import { textHash } from './text-hash.ts';

/** One above the highest hash. */
const hashes = 2 ** 32;

/** How a host chooses. */
interface Choice {
  readonly selector: Selector;
  /** The cookie by which clients stay where they are; null for none. */
  readonly sticky: StickyCookie | null;
}

/** Chooses the backend of a request, in the canary or not. @returns null if none remains. See `Selector`. */
export function chooseIn(
  frontend: Frontend,
  { selector, sticky }: Choice,
  asked: Asked,
  tried: readonly Backend[] | null,
  nowMs: number,
): Backend | null {
  const { canary } = frontend;
  const group = canary === null ? frontend : groupOf(frontend, canary, asked, tried === null, sticky, nowMs);
  return selector.choose(group, asked, tried, nowMs);
}

/**
 * The group that has the backend for a request of a frontend with a canary. A request that has failed goes on to backends
 * that are no canaries, and so do clients of the canary while none of it can be used. Other clients never get a canary.
 * @param isFirst whether no backend has been tried.
 */
export function groupOf(
  frontend: Frontend,
  canary: Canary,
  asked: Asked,
  isFirst: boolean,
  sticky: StickyCookie | null,
  nowMs: number,
): BackendGroup {
  if (!isFirst || !hasUsable(canary, nowMs)) return frontend;
  if (sticky?.backendOf(frontend, asked.request)) return frontend;
  if (sticky?.backendOf(canary, asked.request)) return canary;
  return isInCanary(canary, asked.clientAddress) ? canary : frontend;
}

/**
 * Whether a client is in the canary. All workers and instances agree, also those of other versions. While the share
 * grows, no client leaves.
 */
export function isInCanary({ pattern, share }: Pick<Canary, 'pattern' | 'share'>, clientAddress: string): boolean {
  return textHash(`${pattern} ${networkOf(clientAddress)}`) < (share / 100) * hashes;
}

function hasUsable({ backends }: Canary, nowMs: number): boolean {
  return backends.some((backend) => isFree(backend, nowMs, null));
}
