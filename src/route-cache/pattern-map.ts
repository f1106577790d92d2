import { getRandomValues } from 'node:crypto';

const capacityMin = 64;

/**
 * Entries by pattern. A `Map` would first intern every new string in the engine, which for a random name out of many
 * hosts costs more than the rest of the lookup (docs/performance.md, "What was tried"). Open addressing with linear
 * probing, at most half full. The hash has a secret key because clients choose the names.
 */
export class PatternMap<Entry extends { readonly pattern: string }> {
  private hashes = new Int32Array(capacityMin);
  private entries: (Entry | null)[] = new Array<Entry | null>(capacityMin).fill(null);
  private count = 0;
  private readonly hash: (pattern: string) => number;

  /** @param hash gives 32 bits; tests replace it. */
  constructor(hash: (pattern: string) => number = keyedHash) {
    this.hash = hash;
  }

  get size(): number {
    return this.count;
  }

  get(pattern: string, hash = this.hash(pattern)): Entry | undefined {
    const entry = this.entries[this.find(pattern, hash)];
    return entry ?? undefined;
  }

  /** Adds an entry or replaces the one of the same pattern. */
  set(entry: Entry, hash = this.hash(entry.pattern)): void {
    let slot = this.find(entry.pattern, hash);
    if (this.entries[slot] === null) {
      if ((this.count + 1) * 2 > this.entries.length) {
        this.resize(this.entries.length * 2);
        slot = this.find(entry.pattern, hash);
      }
      this.count++;
    }
    this.hashes[slot] = hash;
    this.entries[slot] = entry;
  }

  delete(pattern: string, hash = this.hash(pattern)): void {
    const entries = this.entries;
    const hashes = this.hashes;
    const mask = entries.length - 1;
    let hole = this.find(pattern, hash);
    if (entries[hole] === null) return;
    this.count--;
    // Entries behind the hole move up if a search would otherwise end at the hole before it reaches them.
    for (let slot = (hole + 1) & mask; entries[slot] !== null; slot = (slot + 1) & mask) {
      const home = (hashes[slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      entries[hole] = entries[slot] as Entry;
      hashes[hole] = hashes[slot] as number;
      hole = slot;
    }
    entries[hole] = null;
    if (this.count * 8 < entries.length && entries.length > capacityMin) this.resize(entries.length / 2);
  }

  /** The map must not change during the iteration. */
  *values(): IterableIterator<Entry> {
    for (const entry of this.entries) if (entry !== null) yield entry;
  }

  /** The slot of the pattern, or the free slot for it. */
  private find(pattern: string, hash: number): number {
    const entries = this.entries;
    const hashes = this.hashes;
    const mask = entries.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = entries[slot] as Entry | null;
      if (entry === null || (hashes[slot] === hash && entry.pattern === pattern)) return slot;
    }
  }

  private resize(capacity: number): void {
    const entries = this.entries;
    const hashes = this.hashes;
    const mask = capacity - 1;
    this.entries = new Array<Entry | null>(capacity).fill(null);
    this.hashes = new Int32Array(capacity);
    entries.forEach((entry, i) => {
      if (entry === null) return;
      const hash = hashes[i] as number;
      let slot = hash & mask;
      while (this.entries[slot] !== null) slot = (slot + 1) & mask;
      this.entries[slot] = entry;
      this.hashes[slot] = hash;
    });
  }
}

const key = getRandomValues(new Int32Array(2));

/** HalfSipHash with a key of this process. */
export function keyedHash(pattern: string): number {
  return halfSipHash(pattern, key[0] as number, key[1] as number);
}

/**
 * HalfSipHash-1-3 of a string of latin1 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"; the variant with
 * words of 32 bits, which Linux uses for hash tables).
 */
export function halfSipHash(text: string, key0: number, key1: number): number {
  const { length } = text;
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  const words = (length >> 2) + 1;
  // Three more rounds follow the last word.
  for (let i = 0; i < words + 3; i++) {
    let word = 0;
    if (i < words - 1) {
      const at = i * 4;
      word =
        text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24);
    } else if (i === words - 1) {
      word = length << 24;
      for (let at = i * 4; at < length; at++) word |= text.charCodeAt(at) << ((at & 3) * 8);
    } else if (i === words) {
      v2 ^= 0xff;
    }
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}
