import type { Frontend } from '../routing/frontend.ts';
import { PatternMap } from './pattern-map.ts';

/** What is known of one pattern. One shape, changed in place only in its flags. */
export class CacheEntry {
  readonly pattern: string;
  /** Null: the store has no record, or one without any element. */
  readonly frontend: Frontend | null;
  /** Approximate memory, in bytes. */
  readonly bytes: number;
  /** The epoch of the cache at which it was read; it is verified while that is the cache's own. */
  readonly epoch: number;
  /** Used since the clock's hand last passed. */
  used = false;
  /** Its verification takes too long or failed: it is served as it is until a read succeeds. */
  overdue = false;
  /** The patterns to try after this one, made once for a host that falls through to them. */
  wildcards: readonly string[] | null = null;
  /** Place in its ring. */
  slot = -1;

  constructor(pattern: string, frontend: Frontend | null, bytes: number, epoch: number) {
    this.pattern = pattern;
    this.frontend = frontend;
    this.bytes = bytes;
    this.epoch = epoch;
  }
}

/**
 * A bounded set of entries with second-chance eviction: a use sets a flag, nothing is moved. An entry that was used
 * since the hand last passed is passed over once. A new entry starts unused, so that a flood evicts itself first.
 */
class Ring {
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  readonly #entries: CacheEntry[] = [];
  #hand = 0;
  bytes = 0;

  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entry that has to go before one of `bytes` more can come, null where there is room. */
  victim(bytes: number): CacheEntry | null {
    const entries = this.#entries;
    if (entries.length < this.#entriesMax && this.bytes + bytes <= this.#bytesMax) return null;
    for (let steps = entries.length * 2; steps > 0; steps--) {
      if (this.#hand >= entries.length) this.#hand = 0;
      const entry = entries[this.#hand];
      if (entry === undefined) return null;
      if (!entry.used) return entry;
      entry.used = false;
      this.#hand++;
    }
    return null;
  }

  add(entry: CacheEntry): void {
    entry.slot = this.#entries.push(entry) - 1;
    this.bytes += entry.bytes;
  }

  /** The last entry takes the freed place. */
  remove(entry: CacheEntry): void {
    const last = this.#entries.pop();
    if (last !== undefined && last !== entry) {
      this.#entries[entry.slot] = last;
      last.slot = entry.slot;
    }
    entry.slot = -1;
    this.bytes -= entry.bytes;
  }
}

/**
 * Entries by pattern, those with a frontend and negative entries bounded apart: however many names are asked for that have
 * no record, no frontend has to go for them.
 */
export class CacheTable {
  readonly #byPattern = new PatternMap<CacheEntry>();
  readonly #present: Ring;
  readonly #absent: Ring;
  readonly #bytesMax: number;
  evictions = 0;

  constructor(entriesMax: number, bytesMax: number, negativeEntriesMax: number) {
    this.#bytesMax = bytesMax;
    this.#present = new Ring(entriesMax, bytesMax);
    this.#absent = new Ring(negativeEntriesMax, Number.POSITIVE_INFINITY);
  }

  get size(): number {
    return this.#byPattern.size;
  }

  get negativeEntries(): number {
    return this.#absent.size;
  }

  get bytes(): number {
    return this.#present.bytes + this.#absent.bytes;
  }

  get(pattern: string): CacheEntry | undefined {
    return this.#byPattern.get(pattern);
  }

  entries(): IterableIterator<CacheEntry> {
    return this.#byPattern.values();
  }

  /** Puts an entry in the place of the one of its pattern, if there is one; it keeps that one's use. */
  put(entry: CacheEntry): void {
    const old = this.#byPattern.get(entry.pattern);
    if (old !== undefined) {
      entry.used = old.used;
      entry.wildcards = old.wildcards;
      this.remove(old);
    }
    if (entry.bytes > this.#bytesMax) return;
    const ring = this.#ringOf(entry);
    for (let victim = ring.victim(entry.bytes); victim !== null; victim = ring.victim(entry.bytes)) {
      this.evictions++;
      this.remove(victim);
    }
    ring.add(entry);
    this.#byPattern.set(entry);
  }

  remove(entry: CacheEntry): void {
    this.#ringOf(entry).remove(entry);
    this.#byPattern.delete(entry.pattern);
  }

  #ringOf(entry: CacheEntry): Ring {
    return entry.frontend === null ? this.#absent : this.#present;
  }
}

/** Slot, entry, key: what an entry costs beside its record (measured, see cache-table.test.ts). */
const entryBytes = 250;
const frontendBytes = 250;
const backendBytes = 250;

/** About what an entry of this frontend takes, in bytes. */
export function entrySize(pattern: string, frontend: Frontend | null): number {
  let bytes = entryBytes + pattern.length;
  if (frontend === null) return bytes;
  bytes += frontendBytes + frontend.id.length;
  for (const { url } of frontend.backends) bytes += backendBytes + 2 * url.length;
  for (const { message } of frontend.problems) bytes += 50 + message.length;
  return bytes;
}
