import type { Backend } from './backend.ts';

/** The share of its weight that a backend begins with. */
const firstShare = 0.1;

/** The weight of a backend that is not marked: after its start, or the end of its mark, it grows to the full one. */
export function weightAt(backend: Backend, slowStartMs: number, nowMs: number): number {
  const { down, weight } = backend;
  if (slowStartMs === 0) return weight;
  // A mark that has expired stays until the record is read again.
  const sinceMs = down === null ? backend.servesSinceMs : Math.max(backend.servesSinceMs, down.untilMs);
  const passed = (nowMs - sinceMs) / slowStartMs;
  return passed >= 1 ? weight : weight * (firstShare + (1 - firstShare) * Math.max(0, passed));
}
