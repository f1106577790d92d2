import { invariant } from '../base/invariant.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { CacheEntry } from './cache-entry.ts';
import { PackedFrontends } from './packed-frontends.ts';
import { keyedHash, PatternMap } from './pattern-map.ts';

/** One in so many active entries may be one that was used once. */
const recentShare = 16;
/** Entries that are looked at for one whose objects may be dropped. If none may, one more is kept. */
const lookedAtMax = 64;

/**
 * A bounded set of entries with second-chance eviction: using an entry sets a flag and moves nothing. An entry that was
 * used since the hand last passed is spared once. A new entry starts unused, so that a flood evicts itself first.
 */
class Ring {
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly stepsMax: number;
  private readonly mayLeave: (entry: CacheEntry) => boolean;
  private readonly entries: CacheEntry[] = [];
  private hand = 0;
  bytes = 0;

  /** @param stepsMax entries that are looked at to find one that may leave. */
  constructor(entriesMax: number, bytesMax: number, stepsMax: number, mayLeave: (entry: CacheEntry) => boolean) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
    this.stepsMax = stepsMax;
    this.mayLeave = mayLeave;
  }

  get size(): number {
    return this.entries.length;
  }

  /** Whether it has more than it may, since too many might not leave. */
  get isOver(): boolean {
    return this.entries.length > this.entriesMax || this.bytes > this.bytesMax;
  }

  mayHave(bytes: number): boolean {
    return this.entriesMax > 0 && bytes <= this.bytesMax;
  }

  /** The entry to evict before `bytes` more can be added; null if there is room, or if too many may not leave. */
  victim(bytes: number): CacheEntry | null {
    const entries = this.entries;
    if (entries.length < this.entriesMax && this.bytes + bytes <= this.bytesMax) return null;
    for (let steps = Math.min(entries.length * 2, this.stepsMax); steps > 0; steps--) {
      if (this.hand >= entries.length) this.hand = 0;
      const entry = entries[this.hand];
      if (entry === undefined) return null;
      if (!entry.used && this.mayLeave(entry)) return entry;
      entry.wasUsed ||= entry.used;
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

/** Whether a frontend is known with its objects, as one that serves, or by its bytes alone. */
export type FrontendUse = 'active' | 'packed' | 'absent';

export interface CacheTableLimits {
  /** Frontends, and their bytes once they are packed. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Frontends whose objects are kept, and their approximate memory. A sixteenth of it is for those that were used once. */
  readonly activeEntriesMax: number;
  readonly activeBytesMax: number;
  readonly negativeEntriesMax: number;
}

/**
 * Entries by pattern. Frontends are kept as bytes; some as objects too: those that were used last, and those that were
 * used again while they had objects. So the objects of hosts with few requests are collected young, which is cheap, and
 * those of the others stay. Negative entries have their own bound: requests for unknown names evict no frontend.
 */
export class CacheTable {
  private readonly byPattern = new PatternMap<CacheEntry>();
  private readonly recent: Ring;
  private readonly frequent: Ring;
  private readonly absent: Ring;
  private readonly packed: PackedFrontends;
  private readonly mayLeave: (entry: CacheEntry) => boolean;
  private epoch = 0;
  private negativeEvictions = 0;

  /**
   * @param mayRelease whether the objects of a frontend may be dropped, and made again from its bytes.
   * @param onUnpacked called with each frontend that is made again.
   */
  constructor(
    limits: CacheTableLimits,
    mayRelease: (frontend: Frontend) => boolean,
    onUnpacked: (frontend: Frontend) => void = ignore,
  ) {
    const { entriesMax, bytesMax, activeEntriesMax, activeBytesMax, negativeEntriesMax } = limits;
    this.packed = new PackedFrontends(entriesMax, bytesMax, {
      unpacked: onUnpacked,
      isPinned: (pattern, hash) => this.isPinned(pattern, hash),
      evicted: (pattern, hash) => this.onEvicted(pattern, hash),
      moved: (pattern, hash, place) => this.onMoved(pattern, hash, place),
    });
    const { POSITIVE_INFINITY: unbounded } = Number;
    this.mayLeave = ({ frontend }) => frontend === null || mayRelease(frontend);
    const recentMax = Math.ceil(activeEntriesMax / recentShare);
    const recentBytesMax = Math.ceil(activeBytesMax / recentShare);
    this.recent = new Ring(recentMax, recentBytesMax, lookedAtMax, this.mayLeave);
    const frequentBytesMax = activeBytesMax - recentBytesMax;
    this.frequent = new Ring(activeEntriesMax - recentMax, frequentBytesMax, lookedAtMax, this.mayLeave);
    this.absent = new Ring(negativeEntriesMax, unbounded, unbounded, () => true);
  }

  /** Entries, negative ones included. */
  get size(): number {
    return this.packed.size + this.absent.size;
  }

  /** Entries whose objects are kept, negative ones included. */
  get active(): number {
    return this.byPattern.size;
  }

  get negativeEntries(): number {
    return this.absent.size;
  }

  /** Approximate memory: bytes and objects. */
  get bytes(): number {
    return this.packed.bytes + this.recent.bytes + this.frequent.bytes + this.absent.bytes;
  }

  get evictions(): number {
    return this.packed.evictions + this.negativeEvictions;
  }

  /** No entry has this epoch yet; `countOutdated` counts those of others. */
  turn(epoch: number): void {
    this.epoch = epoch;
    this.packed.countOnly(epoch);
  }

  /** Entries of another epoch than the present one. Looks at every negative entry. */
  countOutdated(): number {
    let count = this.packed.size - this.packed.counted;
    for (const { frontend, epoch } of this.byPattern.values()) if (frontend === null && epoch !== this.epoch) count++;
    return count;
  }

  get(pattern: string): CacheEntry | undefined {
    const hash = keyedHash(pattern);
    return this.byPattern.get(pattern, hash) ?? this.activate(pattern, hash);
  }

  /** Like `get`, for a request: the objects of an entry stay if they are used a second time. */
  use(pattern: string): CacheEntry | undefined {
    const hash = keyedHash(pattern);
    const entry = this.byPattern.get(pattern, hash);
    if (entry === undefined) return this.activate(pattern, hash);
    if (!entry.stays) this.promote(entry);
    return entry;
  }

  /** How the frontend of a pattern is known. Does not count as use. */
  useOf(pattern: string): FrontendUse {
    const hash = keyedHash(pattern);
    const entry = this.byPattern.get(pattern, hash);
    if (entry !== undefined) return entry.frontend === null ? 'absent' : 'active';
    return this.packed.find(pattern, hash) === 0 ? 'absent' : 'packed';
  }

  /** The frontends whose objects are kept. */
  frontends(): Frontend[] {
    return [...this.byPattern.values()].flatMap(({ frontend }) => (frontend === null ? [] : [frontend]));
  }

  /** All negative entries. */
  negative(): CacheEntry[] {
    return [...this.byPattern.values()].filter(({ frontend }) => frontend === null);
  }

  /** Adds an entry or replaces the one of the same pattern, whose use it takes over. */
  put(entry: CacheEntry): void {
    const { pattern, frontend } = entry;
    const hash = keyedHash(pattern);
    entry.hash = hash;
    const old = this.byPattern.get(pattern, hash);
    if (old !== undefined) {
      entry.used = old.used;
      entry.wasUsed = old.wasUsed;
      entry.wildcards = old.wildcards;
      entry.stays = old.stays && old.frontend !== null;
      this.drop(old);
    }
    if (frontend === null) {
      const place = this.packed.find(pattern, hash);
      if (place !== 0) this.packed.delete(place);
      entry.stays = true;
      this.add(this.absent, entry);
    } else {
      entry.place = this.packed.put(frontend, hash, entry.epoch);
      if (entry.place !== 0) this.add(this.ringOf(entry), entry);
    }
  }

  remove(entry: CacheEntry): void {
    this.drop(entry);
    if (entry.place !== 0) this.packed.delete(entry.place);
  }

  setEpoch(entry: CacheEntry, epoch: number): void {
    entry.epoch = epoch;
    if (entry.place !== 0) this.packed.setEpoch(entry.place, epoch);
  }

  private activate(pattern: string, hash: number): CacheEntry | undefined {
    const place = this.packed.find(pattern, hash);
    if (place === 0) return undefined;
    const entry = this.packed.take(place);
    this.add(this.recent, entry);
    return entry;
  }

  /** The entry was used once, and is used again. */
  private promote(entry: CacheEntry): void {
    if (!this.frequent.mayHave(entry.bytes)) return;
    this.recent.remove(entry);
    entry.stays = true;
    this.makeRoom(this.frequent, entry.bytes);
    this.frequent.add(entry);
  }

  private add(ring: Ring, entry: CacheEntry): void {
    this.makeRoom(ring, entry.bytes);
    if (this.frequent.isOver) this.makeRoom(this.frequent, 0);
    ring.add(entry);
    this.byPattern.set(entry, entry.hash);
  }

  private makeRoom(ring: Ring, bytes: number): void {
    for (let victim = ring.victim(bytes); victim !== null; victim = ring.victim(bytes)) {
      this.drop(victim);
      if (victim.place !== 0) this.packed.release(victim);
      else this.negativeEvictions++;
    }
  }

  /** Drops the objects. */
  private drop(entry: CacheEntry): void {
    this.ringOf(entry).remove(entry);
    this.byPattern.delete(entry.pattern, entry.hash);
  }

  private ringOf({ frontend, stays }: CacheEntry): Ring {
    return frontend === null ? this.absent : stays ? this.frequent : this.recent;
  }

  private isPinned(pattern: string, hash: number): boolean {
    const entry = this.byPattern.get(pattern, hash);
    return entry !== undefined && !this.mayLeave(entry);
  }

  private onEvicted(pattern: string, hash: number): void {
    const entry = this.byPattern.get(pattern, hash);
    if (entry !== undefined) this.drop(entry);
  }

  private onMoved(pattern: string, hash: number, place: number): void {
    const entry = this.byPattern.get(pattern, hash);
    if (entry !== undefined) entry.place = place;
  }
}

function ignore(): void {}
