import { invariant } from '../base/invariant.ts';
import type { Frontend } from '../routing/frontend.ts';
import { PatternMap } from './pattern-map.ts';

/** The cached record of one pattern. Every entry has the same shape; only its flags change in place. */
export class CacheEntry {
  readonly pattern: string;
  /** Null if the store has no record, or one without any element. */
  readonly frontend: Frontend | null;
  /** Approximate memory, in bytes. */
  readonly bytes: number;
  /** The epoch of the cache at the reading. The entry is verified while it is the current one. */
  epoch: number;
  /** Whether it was used since the clock's hand last passed. */
  used = false;
  /** Whether its verification failed or takes too long. It is then served as it is until a read succeeds. */
  overdue = false;
  /** The patterns to try after this one, once a host has fallen through to them. */
  wildcards: readonly string[] | null = null;
  /** Its place in its ring. */
  slot = -1;

  constructor(pattern: string, frontend: Frontend | null, bytes: number, epoch: number) {
    this.pattern = pattern;
    this.frontend = frontend;
    this.bytes = bytes;
    this.epoch = epoch;
  }
}

/**
 * A bounded set of entries with second-chance eviction: using an entry sets a flag and moves nothing. An entry that was
 * used since the hand last passed is spared once. A new entry starts unused, so that a flood evicts itself first.
 */
class Ring {
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly entries: CacheEntry[] = [];
  private hand = 0;
  bytes = 0;

  constructor(entriesMax: number, bytesMax: number) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
  }

  get size(): number {
    return this.entries.length;
  }

  /** The entry to evict before `bytes` more can be added; null if there is room. */
  victim(bytes: number): CacheEntry | null {
    const entries = this.entries;
    if (entries.length < this.entriesMax && this.bytes + bytes <= this.bytesMax) return null;
    for (let steps = entries.length * 2; steps > 0; steps--) {
      if (this.hand >= entries.length) this.hand = 0;
      const entry = entries[this.hand];
      if (entry === undefined) return null;
      if (!entry.used) return entry;
      entry.used = false;
      this.hand++;
    }
    return null;
  }

  add(entry: CacheEntry): void {
    entry.slot = this.entries.push(entry) - 1;
    this.bytes += entry.bytes;
  }

  /** The last entry moves to the freed place. */
  remove(entry: CacheEntry): void {
    invariant(this.entries[entry.slot] === entry, 'an entry is removed from the ring that it is in');
    const last = this.entries.pop();
    if (last !== undefined && last !== entry) {
      this.entries[entry.slot] = last;
      last.slot = entry.slot;
    }
    entry.slot = -1;
    this.bytes -= entry.bytes;
    invariant(this.bytes >= 0, 'a ring counts the bytes of each entry once');
  }
}

/**
 * Entries by pattern. Negative entries have their own bound, so that requests for any number of unknown names evict no
 * frontend.
 */
export class CacheTable {
  private readonly byPattern = new PatternMap<CacheEntry>();
  private readonly present: Ring;
  private readonly absent: Ring;
  private readonly bytesMax: number;
  evictions = 0;

  constructor(entriesMax: number, bytesMax: number, negativeEntriesMax: number) {
    this.bytesMax = bytesMax;
    this.present = new Ring(entriesMax, bytesMax);
    this.absent = new Ring(negativeEntriesMax, Number.POSITIVE_INFINITY);
  }

  get size(): number {
    return this.byPattern.size;
  }

  get negativeEntries(): number {
    return this.absent.size;
  }

  get bytes(): number {
    return this.present.bytes + this.absent.bytes;
  }

  get(pattern: string): CacheEntry | undefined {
    return this.byPattern.get(pattern);
  }

  entries(): IterableIterator<CacheEntry> {
    return this.byPattern.values();
  }

  /** Adds an entry or replaces the one of the same pattern, whose use it takes over. */
  put(entry: CacheEntry): void {
    const old = this.byPattern.get(entry.pattern);
    if (old !== undefined) {
      entry.used = old.used;
      entry.wildcards = old.wildcards;
      this.remove(old);
    }
    if (entry.bytes > this.bytesMax) return;
    const ring = this.ringOf(entry);
    for (let victim = ring.victim(entry.bytes); victim !== null; victim = ring.victim(entry.bytes)) {
      this.evictions++;
      this.remove(victim);
    }
    ring.add(entry);
    this.byPattern.set(entry);
  }

  remove(entry: CacheEntry): void {
    this.ringOf(entry).remove(entry);
    this.byPattern.delete(entry.pattern);
  }

  private ringOf(entry: CacheEntry): Ring {
    return entry.frontend === null ? this.absent : this.present;
  }
}

/** The cost of an entry beside its record: slot, entry, key (measured, see cache-table.test.ts). */
const entryBytes = 250;
const frontendBytes = 250;
const backendBytes = 250;

/** The approximate memory of an entry with this frontend, in bytes. */
export function entrySize(pattern: string, frontend: Frontend | null): number {
  let bytes = entryBytes + pattern.length;
  if (frontend === null) return bytes;
  bytes += frontendBytes + frontend.id.length;
  for (const { url } of frontend.backends) bytes += backendBytes + 2 * url.length;
  for (const { message } of frontend.problems) bytes += 50 + message.length;
  return bytes;
}
