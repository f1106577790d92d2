import type { Backend } from './backend.ts';
import type { BackendGroup, Frontend } from './frontend.ts';
import { weightAt } from './slow-start.ts';

/** The settings of a draw. */
export interface Draw {
  /** Returns numbers from 0 up to but not including 1. */
  readonly random: () => number;
  /** How long the share of a new backend grows, in ms; 0: not at all. */
  readonly slowStartMs: number;
}

/**
 * Chooses the backend for a request: of two drawn at random in proportion to their weights, the one with fewer requests
 * in flight per weight. Backends marked dead are skipped; if all remaining ones are marked, it is the one marked
 * longest ago. Null if none remains.
 * @param tried backends that this exchange has already used; null, for none, is faster.
 */
export function chooseBackend(
  group: BackendGroup,
  nowMs: number,
  draw: Draw,
  tried: readonly Backend[] | null,
): Backend | null {
  const backends = group.backends;
  const count = backends.length;
  if (count === 0) return null;
  if (count === 1) {
    const only = backends[0] as Backend;
    return isExcluded(only, tried) ? null : only;
  }
  if (!group.weighted && draw.slowStartMs === 0) {
    const i = Math.floor(draw.random() * count);
    let j = Math.floor(draw.random() * (count - 1));
    if (j >= i) j++;
    const first = backends[i] as Backend;
    const second = backends[j] as Backend;
    if (isFree(first, nowMs, tried) && isFree(second, nowMs, tried)) return lessLoaded(first, second, 1, 1);
  }
  return chooseAmongUsable(group, nowMs, draw, tried);
}

function chooseAmongUsable(
  group: BackendGroup,
  nowMs: number,
  { random, slowStartMs }: Draw,
  tried: readonly Backend[] | null,
): Backend | null {
  const weight = usableWeight(group, nowMs, slowStartMs, tried);
  if (weight === 0) return markedLongestAgo(group.backends, tried);
  const first = drawn(group, nowMs, slowStartMs, tried, null, random() * weight);
  if (first === null) return null;
  const firstWeight = weightAt(first, slowStartMs, nowMs);
  const second = drawn(group, nowMs, slowStartMs, tried, first, random() * (weight - firstWeight));
  return second === null ? first : lessLoaded(first, second, firstWeight, weightAt(second, slowStartMs, nowMs));
}

/** Chooses a backend at random, in proportion to the weights. */
export function chooseAtRandom(
  group: BackendGroup,
  nowMs: number,
  { random, slowStartMs }: Draw,
  tried: readonly Backend[] | null,
): Backend | null {
  const weight = usableWeight(group, nowMs, slowStartMs, tried);
  if (weight === 0) return markedLongestAgo(group.backends, tried);
  return drawn(group, nowMs, slowStartMs, tried, null, random() * weight);
}

/** The weights of all usable backends together; 0 if there are none. */
function usableWeight(
  group: BackendGroup,
  nowMs: number,
  slowStartMs: number,
  tried: readonly Backend[] | null,
): number {
  const { backends } = group;
  const ofBackups = backupsServe(group, nowMs, tried);
  let weight = 0;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (backend.isBackup === ofBackups && isFree(backend, nowMs, tried))
      weight += weightAt(backend, slowStartMs, nowMs);
  }
  return weight;
}

/** The usable backend other than `except` into whose share of the weight `point` falls. */
function drawn(
  group: BackendGroup,
  nowMs: number,
  slowStartMs: number,
  tried: readonly Backend[] | null,
  except: Backend | null,
  point: number,
): Backend | null {
  const { backends } = group;
  const ofBackups = backupsServe(group, nowMs, tried);
  let last: Backend | null = null;
  let rest = point;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (backend === except || backend.isBackup !== ofBackups || !isFree(backend, nowMs, tried)) continue;
    last = backend;
    rest -= weightAt(backend, slowStartMs, nowMs);
    if (rest < 0) break;
  }
  return last;
}

/**
 * Whether the backups serve, because no other backend is free. A backend is usable if it is free, and a backup if and only
 * if these serve.
 */
export function backupsServe(group: BackendGroup, nowMs: number, tried: readonly Backend[] | null): boolean {
  if (!group.hasBackups) return false;
  const { backends } = group;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (!backend.isBackup && isFree(backend, nowMs, tried)) return false;
  }
  return true;
}

/** Of the backends that remain, if all of them are marked: one that was marked long ago may have recovered. */
export function markedLongestAgo(backends: readonly Backend[], tried: readonly Backend[] | null): Backend | null {
  let oldest: Backend | null = null;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (isExcluded(backend, tried)) continue;
    if (oldest === null || sinceMs(backend) < sinceMs(oldest)) oldest = backend;
  }
  return oldest;
}

/** Whether a backend remains to be tried, so that every way of balancing chooses one. */
export function hasRemaining({ backends }: BackendGroup, tried: readonly Backend[]): boolean {
  for (let i = 0; i < backends.length; i++) if (!isExcluded(backends[i] as Backend, tried)) return true;
  return false;
}

/** At equal load the first one, which was drawn by weight alone: idle backends thus get their exact shares. */
function lessLoaded(first: Backend, second: Backend, firstWeight: number, secondWeight: number): Backend {
  return second.inFlight * firstWeight < first.inFlight * secondWeight ? second : first;
}

/** Whether it may get the request: it is not marked, has not been tried, and does not drain. */
export function isFree(backend: Backend, nowMs: number, tried: readonly Backend[] | null): boolean {
  return !backend.isDown(nowMs) && !isExcluded(backend, tried);
}

/** Whether a request that has not been tried yet finds a backend that is not marked, in the canary or outside. */
export function hasFree({ backends, canary }: Frontend, nowMs: number): boolean {
  const free = (backend: Backend) => isFree(backend, nowMs, null);
  return backends.some(free) || canary?.backends.some(free) === true;
}

/** Whether it was tried, or drains: since the request has begun, as the group has no such backends. */
function isExcluded(backend: Backend, tried: readonly Backend[] | null): boolean {
  return backend.drainUntilMs !== null || (tried?.includes(backend) ?? false);
}

function sinceMs(backend: Backend): number {
  return backend.down === null ? 0 : backend.down.sinceMs;
}
