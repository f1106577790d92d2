import type { Frontend } from '../routing/frontend.ts';
import { FrontendPacker, unpackFrontend } from '../routing/packed-frontend.ts';
import { CacheEntry, entrySize } from './cache-entry.ts';
import { RecordLog } from './record-log.ts';
import { RecordTable } from './record-table.ts';

/** The objects of the frontend are there as well. */
const active = 1;
/** It was used since the hand last passed. */
const used = 2;
const overdue = 4;
/** Records that are spared for one that has to go, and about how many bytes of them: each is moved. */
const sparedMax = 64;
const sparedBytesMax = 256 * 1024;
/** The same, of records whose objects are in use. */
const pinnedMax = 4096;

/** Called for frontends whose objects are there. */
export interface PackedFrontendsEvents {
  /** The objects of a frontend are made: it has no policy yet. */
  unpacked(frontend: Frontend): void;
  /** Whether requests use the objects, so that dropping them would lose count of these. */
  isPinned(pattern: string, hash: number): boolean;
  evicted(pattern: string, hash: number): void;
  moved(pattern: string, hash: number, place: number): void;
}

/**
 * Frontends as bytes, by pattern, within bounds. The one that was added longest ago goes first, unless it was used since
 * or its objects are there: then it is spared once (second chance). That costs nothing when a frontend is used.
 */
export class PackedFrontends {
  private readonly table = new RecordTable((place) => this.onMoved(place));
  private readonly log = this.table.log;
  private readonly packer = new FrontendPacker();
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly events: PackedFrontendsEvents;
  private epoch = 0;
  private ofEpoch = 0;
  evictions = 0;

  constructor(entriesMax: number, bytesMax: number, events: PackedFrontendsEvents) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
    this.events = events;
  }

  get size(): number {
    return this.table.size;
  }

  /** Memory of the frontends, in bytes. */
  get bytes(): number {
    return this.log.liveBytes;
  }

  /** Those whose epoch is that of the last `countOnly`. */
  get counted(): number {
    return this.ofEpoch;
  }

  /** From now on, `counted` is the number of frontends of this epoch, which none has yet. */
  countOnly(epoch: number): void {
    this.epoch = epoch;
    this.ofEpoch = 0;
  }

  /** The place of a pattern; 0 if it is not there. */
  find(pattern: string, hash: number): number {
    return this.table.find(pattern, hash);
  }

  /** Makes the entry whose bytes are at `place`. Its objects are there until `release`. */
  take(place: number): CacheEntry {
    const { log } = this;
    const pattern = log.key(place);
    const frontend = unpackFrontend(pattern, log.bytes(place), log.bodyAt(place));
    this.events.unpacked(frontend);
    const entry = new CacheEntry(pattern, frontend, entrySize(pattern, frontend), log.epoch(place));
    entry.overdue = (log.state(place) & overdue) !== 0;
    entry.hash = log.hash(place);
    entry.place = place;
    log.setState(place, active | used);
    return entry;
  }

  /**
   * Adds a frontend whose objects are there, or replaces the one of the same pattern.
   * @returns its place; 0 if it is larger than all frontends together may be.
   */
  put(frontend: Frontend, hash: number, epoch: number): number {
    const { log } = this;
    const { pattern } = frontend;
    const body = this.packer.pack(frontend);
    const size = RecordLog.sizeOf(pattern, body);
    let state = active;
    const former = this.find(pattern, hash);
    if (former !== 0) {
      state |= log.state(former) & used;
      this.delete(former);
    }
    if (size > this.bytesMax) return 0;
    while (this.size >= this.entriesMax || log.liveBytes + size > this.bytesMax) this.evict();
    const place = this.table.add(pattern, hash, epoch, state, body);
    this.countEpoch(place, 1);
    return place;
  }

  setEpoch(place: number, epoch: number): void {
    this.countEpoch(place, -1);
    this.log.setEpoch(place, epoch);
    this.countEpoch(place, 1);
  }

  /** The objects of an entry are not there any more. */
  release(entry: CacheEntry): void {
    const wasUsed = entry.used || entry.wasUsed;
    this.log.setState(entry.place, (wasUsed ? used : 0) | (entry.overdue ? overdue : 0));
  }

  delete(place: number): void {
    this.countEpoch(place, -1);
    this.table.delete(place);
  }

  private countEpoch(place: number, change: 1 | -1): void {
    if (this.log.epoch(place) === this.epoch) this.ofEpoch += change;
  }

  private evict(): void {
    const { log } = this;
    for (let spared = 0, sparedBytes = 0; spared < pinnedMax; spared++) {
      const place = log.oldest();
      const state = log.state(place);
      const isActive = (state & active) !== 0;
      const isSpared = spared < sparedMax && sparedBytes < sparedBytesMax && (state & (active | used)) !== 0;
      if (!isSpared && !(isActive && this.events.isPinned(log.key(place), log.hash(place)))) break;
      log.setState(place, state & ~used);
      sparedBytes += log.size(place);
      this.table.moveToEnd(place);
    }
    const place = log.oldest();
    this.evictions++;
    if ((log.state(place) & active) !== 0) this.events.evicted(log.key(place), log.hash(place));
    this.delete(place);
  }

  private onMoved(place: number): void {
    const { log } = this;
    if ((log.state(place) & active) !== 0) this.events.moved(log.key(place), log.hash(place), place);
  }
}
