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

/** The part of an address by which a client counts: all of an IPv4 address, and the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const colon = address.lastIndexOf(':');
  // IPv4 as `::ffff:a.b.c.d`.
  if (address.includes('.', colon)) return address.slice(colon + 1);
  const [before = '', after] = address.toLowerCase().split('::');
  const groups = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Math.max(0, 8 - groups.length - last.length);
  groups.push(...new Array<string>(zeros).fill('0'), ...last);
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

function hasUsable({ backends }: Canary, nowMs: number): boolean {
  return backends.some((backend) => isFree(backend, nowMs, null));
}
