import type { Backend } from './backend.ts';
import { mixed, textHash } from './text-hash.ts';

/** Points of the lightest backend. More make shares more even: with 160 they differ by about 8 %. */
const pointsEach = 160;
/** Points of one ring, unless it has more backends. */
const pointsMax = 65_536;
const secondSeed = 0x9e3779b9;

/**
 * Points on a ring of 32 bits, each of which belongs to a backend: in proportion to its weight, and computed from its URL
 * alone. A request belongs to the next point after its own hash. So a further backend takes only its share from the others,
 * and a backend that leaves gives its share to all others.
 */
export class HashRing {
  private readonly points: Uint32Array;
  /** The position of the backend of each point. */
  private readonly owners: Uint16Array;

  /** @param backends at most 65,536. */
  constructor(backends: readonly Backend[]) {
    const perWeight = pointsPerWeight(backends);
    const counts = backends.map(({ weight }) => pointsOf(weight, perWeight));
    const length = counts.reduce((sum, count) => sum + count, 0);
    // A point and its owner in one number, so that they are sorted together.
    const both = new Float64Array(length);
    let at = 0;
    for (const [owner, { url }] of backends.entries()) {
      const start = textHash(url);
      const step = textHash(url, secondSeed) | 1;
      const end = at + (counts[owner] as number);
      for (let i = 0; at < end; i++) both[at++] = mixed((start + Math.imul(i, step)) | 0) * 65_536 + owner;
    }
    both.sort();
    this.points = new Uint32Array(length);
    this.owners = new Uint16Array(length);
    for (let i = 0; i < length; i++) {
      const number = both[i] as number;
      this.points[i] = Math.floor(number / 65_536);
      this.owners[i] = number % 65_536;
    }
  }

  get length(): number {
    return this.points.length;
  }

  /** The place of the first point that is not before `hash`. */
  find(hash: number): number {
    const { points } = this;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as number) < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }

  /** The position of the backend to which the point at a place belongs. @param place from 0; those beyond the end begin anew. */
  owner(place: number): number {
    return this.owners[place % this.owners.length] as number;
  }
}

/** Halved until all points fit, so that a further backend seldom changes the points of the others. */
function pointsPerWeight(backends: readonly Backend[]): number {
  let lightest = Number.POSITIVE_INFINITY;
  for (const { weight } of backends) lightest = Math.min(lightest, weight);
  let perWeight = pointsEach / lightest;
  const sum = (): number => backends.reduce((points, { weight }) => points + pointsOf(weight, perWeight), 0);
  while (sum() > Math.max(pointsMax, backends.length)) perWeight /= 2;
  return perWeight;
}

function pointsOf(weight: number, perWeight: number): number {
  return Math.max(1, Math.round(weight * perWeight));
}
