import type { Backend } from './backend.ts';
import type { Frontend } from './frontend.ts';

/**
 * Chooses the backend for a request: of two drawn at random in proportion to their weights, the one with fewer requests
 * in flight per weight. Backends marked dead are skipped; if all remaining ones are marked, it is the one marked
 * longest ago. Null if none remains.
 * @param random returns numbers from 0 up to but not including 1.
 * @param tried backends that this exchange has already used; null, for none, is faster.
 */
export function chooseBackend(
  frontend: Frontend,
  nowMs: number,
  random: () => number,
  tried: readonly Backend[] | null,
): Backend | null {
  const backends = frontend.backends;
  const count = backends.length;
  if (count === 0) return null;
  if (count === 1) {
    const only = backends[0] as Backend;
    return isExcluded(only, tried) ? null : only;
  }
  if (!frontend.weighted) {
    const i = Math.floor(random() * count);
    let j = Math.floor(random() * (count - 1));
    if (j >= i) j++;
    const first = backends[i] as Backend;
    const second = backends[j] as Backend;
    if (isFree(first, nowMs, tried) && isFree(second, nowMs, tried)) return lessLoaded(first, second);
  }
  return chooseAmongFree(backends, nowMs, random, tried);
}

function chooseAmongFree(
  backends: readonly Backend[],
  nowMs: number,
  random: () => number,
  tried: readonly Backend[] | null,
): Backend | null {
  let weight = 0;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (isFree(backend, nowMs, tried)) weight += backend.weight;
  }
  if (weight === 0) return markedLongestAgo(backends, tried);
  const first = draw(backends, nowMs, tried, null, random() * weight);
  if (first === null || first.weight === weight) return first;
  const second = draw(backends, nowMs, tried, first, random() * (weight - first.weight));
  return second === null ? first : lessLoaded(first, second);
}

/** The free backend other than `except` into whose share of the weight `point` falls. */
function draw(
  backends: readonly Backend[],
  nowMs: number,
  tried: readonly Backend[] | null,
  except: Backend | null,
  point: number,
): Backend | null {
  let last: Backend | null = null;
  let rest = point;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (backend === except || !isFree(backend, nowMs, tried)) continue;
    last = backend;
    rest -= backend.weight;
    if (rest < 0) break;
  }
  return last;
}

function markedLongestAgo(backends: readonly Backend[], tried: readonly Backend[] | null): Backend | null {
  let oldest: Backend | null = null;
  for (let i = 0; i < backends.length; i++) {
    const backend = backends[i] as Backend;
    if (isExcluded(backend, tried)) continue;
    if (oldest === null || sinceMs(backend) < sinceMs(oldest)) oldest = backend;
  }
  return oldest;
}

/** At equal load the first one, which was drawn by weight alone: idle backends thus get their exact shares. */
function lessLoaded(first: Backend, second: Backend): Backend {
  return second.inFlight * first.weight < first.inFlight * second.weight ? second : first;
}

function isFree(backend: Backend, nowMs: number, tried: readonly Backend[] | null): boolean {
  return !backend.isDown(nowMs) && !isExcluded(backend, tried);
}

/** Whether it was tried, or drains: since the request has begun, as the frontend has no such backends. */
function isExcluded(backend: Backend, tried: readonly Backend[] | null): boolean {
  return backend.drainUntilMs !== null || (tried?.includes(backend) ?? false);
}

function sinceMs(backend: Backend): number {
  return backend.down === null ? 0 : backend.down.sinceMs;
}
