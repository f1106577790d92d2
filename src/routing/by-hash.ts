import { cookieValues } from '../http/cookies.ts';
import { type FieldView, namedValue } from '../http/message.ts';
import type { Backend } from './backend.ts';
import { stateOf } from './balancing-state.ts';
import { backupsServe, isFree, markedLongestAgo } from './choice.ts';
import type { BackendGroup } from './frontend.ts';
import { HashRing } from './hash-ring.ts';
import type { Asked, Selector } from './selector.ts';
import { textHash } from './text-hash.ts';

/** The part of a request that is hashed. */
export type HashSource =
  | { readonly kind: 'client' }
  /** `name` in lower case. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

/** How much more than its share of the requests in flight a backend may have. */
const loadFactor = 1.25;

/**
 * Gives requests with the same client, header or cookie to the same backend, in every worker and instance: consistent
 * hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016).
 */
export class ByHash implements Selector {
  readonly by: string;
  readonly isRepeatable = true;
  private readonly source: HashSource;

  constructor(source: HashSource) {
    this.source = source;
    this.by = `by the hash of ${source.kind === 'client' ? "the client's address" : `the ${source.kind} ${source.name}`}`;
  }

  choose(group: BackendGroup, asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    const { backends } = group;
    if (backends.length < 2) return markedLongestAgo(backends, tried);
    const state = stateOf(group);
    state.ring ??= new HashRing(backends);
    const { ring } = state;
    const ofBackups = backupsServe(group, nowMs, tried);
    const place = ring.find(textHash(this.textOf(asked)));
    const own = backends[ring.owner(place)] as Backend;
    if (own.inFlight === 0 && own.isBackup === ofBackups && isFree(own, nowMs, tried)) return own;
    // At least one usable backend has less than this load: together they may have more than is in flight.
    const loadMax = loadBound(backends, ofBackups, nowMs, tried);
    if (loadMax === 0) return markedLongestAgo(backends, tried);
    for (let i = 0; i < ring.length; i++) {
      const backend = backends[ring.owner(place + i)] as Backend;
      if (backend.isBackup !== ofBackups || !isFree(backend, nowMs, tried)) continue;
      if (backend.inFlight < Math.ceil(backend.weight * loadMax)) return backend;
    }
    return null;
  }

  private textOf(asked: Asked): string {
    return hashedValue(this.source, asked.request) || asked.clientAddress;
  }
}

/** How many requests a usable backend may have in flight for each unit of its weight; 0 if no backend is usable. */
function loadBound(
  backends: readonly Backend[],
  ofBackups: boolean,
  nowMs: number,
  tried: readonly Backend[] | null,
): number {
  let weight = 0;
  // The one that is chosen for.
  let inFlight = 1;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (backend.isBackup !== ofBackups || !isFree(backend, nowMs, tried)) continue;
    weight += backend.weight;
    inFlight += backend.inFlight;
  }
  return weight === 0 ? 0 : (loadFactor * inFlight) / weight;
}

/** Empty if it is the client, or if the request does not have it. */
function hashedValue(source: HashSource, request: FieldView): string {
  switch (source.kind) {
    case 'client':
      return '';
    case 'header':
      return namedValue(request, source.name) ?? '';
    case 'cookie':
      return cookieValues(request, source.name)[0] ?? '';
  }
}
