import type { Backend } from './backend.ts';
import type { BackendGroup } from './frontend.ts';
import type { HashRing } from './hash-ring.ts';

/**
 * State that ways of balancing keep for one group of backends, for as long as it has the same backends with the same weights. Each
 * part is made by the first choice that needs it. Lost when the frontend is packed.
 */
export interface BalancingState {
  ring: HashRing | null;
  /** By the position of the backend: what it has earned. */
  earned: Float64Array | null;
  byCookie: BackendsByCookie | null;
}

/** Backends by the values of a cookie. */
interface BackendsByCookie {
  /** Of the values. */
  readonly key: string;
  readonly backends: ReadonlyMap<string, Backend>;
}

export function stateOf(group: BackendGroup): BalancingState {
  group.balancing ??= { ring: null, earned: null, byCookie: null };
  return group.balancing;
}
