import type { Backend } from './backend.ts';
import { stateOf } from './balancing-state.ts';
import { backupsServe, chooseAtRandom, type Draw, isFree, markedLongestAgo } from './choice.ts';
import type { BackendGroup } from './frontend.ts';
import type { Asked, Selector } from './selector.ts';
import { weightAt } from './slow-start.ts';

/** Chooses at random, in proportion to the weights. */
export class AtRandom implements Selector {
  readonly by = 'at random';
  readonly isRepeatable = false;
  private readonly draw: Draw;

  /** @param random from 0 up to but not including 1. @param slowStartMs see `weightAt`. */
  constructor(random: () => number, slowStartMs = 0) {
    this.draw = { random, slowStartMs };
  }

  choose(group: BackendGroup, _asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    return chooseAtRandom(group, nowMs, this.draw, tried);
  }
}

/**
 * Chooses in turn, in proportion to the weights and as evenly over time as they allow (smooth weighted round-robin, as
 * in nginx): every backend earns its weight with each request, and the one that has earned most pays for all.
 */
export class RoundRobin implements Selector {
  readonly by = 'in turn';
  readonly isRepeatable = false;
  private readonly random: () => number;
  private readonly slowStartMs: number;

  /** @param random for the first turn, so that workers do not all begin with the same backend. */
  constructor(random: () => number, slowStartMs = 0) {
    this.random = random;
    this.slowStartMs = slowStartMs;
  }

  choose(group: BackendGroup, _asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    const { backends } = group;
    const earned = this.earnedIn(group);
    const ofBackups = backupsServe(group, nowMs, tried);
    let all = 0;
    let best = -1;
    for (let i = 0; i < backends.length; i++) {
      const backend = backends[i] as Backend;
      if (backend.isBackup !== ofBackups || !isFree(backend, nowMs, tried)) continue;
      const weight = weightAt(backend, this.slowStartMs, nowMs);
      all += weight;
      earned[i] = (earned[i] as number) + weight;
      if (best === -1 || (earned[i] as number) > (earned[best] as number)) best = i;
    }
    if (best === -1) return markedLongestAgo(backends, tried);
    earned[best] = (earned[best] as number) - all;
    return backends[best] as Backend;
  }

  private earnedIn(group: BackendGroup): Float64Array {
    const state = stateOf(group);
    state.earned ??= Float64Array.from(group.backends, ({ weight }) => this.random() * weight);
    return state.earned;
  }
}

/** Chooses the backend with the fewest requests in flight per weight, at random by weight among equals. */
export class LeastRequests implements Selector {
  readonly by = 'by the fewest requests in progress';
  readonly isRepeatable = false;
  private readonly random: () => number;
  private readonly slowStartMs: number;

  /** @param random from 0 up to but not including 1. @param slowStartMs see `weightAt`. */
  constructor(random: () => number, slowStartMs = 0) {
    this.random = random;
    this.slowStartMs = slowStartMs;
  }

  choose(group: BackendGroup, _asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    const { backends } = group;
    const ofBackups = backupsServe(group, nowMs, tried);
    let best: Backend | null = null;
    let leastLoad = Number.POSITIVE_INFINITY;
    /** The weights of all with the least load. */
    let weights = 0;
    for (let i = 0; i < backends.length; i++) {
      const backend = backends[i] as Backend;
      if (backend.isBackup !== ofBackups || !isFree(backend, nowMs, tried)) continue;
      const weight = weightAt(backend, this.slowStartMs, nowMs);
      const load = backend.inFlight / weight;
      if (load > leastLoad) continue;
      weights = load < leastLoad ? weight : weights + weight;
      if (load < leastLoad || this.random() * weights < weight) best = backend;
      leastLoad = load;
    }
    return best ?? markedLongestAgo(backends, tried);
  }
}
