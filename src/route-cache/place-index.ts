import type { RecordLog } from './record-log.ts';

const segmentBits = 6;
const capacityMin = 16;
/** An eighth of the slots or more are taken, unless there are few keys. */
const drawsMax = 1000;

/**
 * The places of the records of a log by key: 16 bytes a key at most. Open addressing with linear probing, at most half
 * full, like `PatternMap`. It consists of 64 segments that grow one by one: a table of a million keys would take tens
 * of milliseconds to grow at once.
 */
export class PlaceIndex {
  private readonly log: RecordLog;
  private readonly segments = Array.from({ length: 1 << segmentBits }, () => new Segment());
  private count = 0;

  constructor(log: RecordLog) {
    this.log = log;
  }

  get size(): number {
    return this.count;
  }

  /** The place of a key; 0 if it is not there. */
  get(key: string, hash: number): number {
    const { hashes, places } = this.segmentOf(hash);
    const mask = places.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = places[slot] as number;
      if (place === 0 || (hashes[slot] === hash && this.log.has(place, key))) return place;
    }
  }

  /** A place, each as likely as any other; 0 if there is none. @param random from 0 up to but not including 1. */
  draw(random: () => number): number {
    let slots = 0;
    for (const { places } of this.segments) slots += places.length;
    for (let attempt = 0; this.count > 0 && attempt < drawsMax; attempt++) {
      let slot = Math.floor(random() * slots);
      for (const { places } of this.segments) {
        const place = places[slot];
        if (place !== undefined && place !== 0) return place;
        if (place !== undefined) break;
        slot -= places.length;
      }
    }
    return 0;
  }

  /** Adds a key that is not there. */
  add(hash: number, place: number): void {
    this.count++;
    this.segmentOf(hash).add(hash, place);
  }

  replace(hash: number, from: number, to: number): void {
    const segment = this.segmentOf(hash);
    segment.places[segment.slotOf(hash, from)] = to;
  }

  delete(hash: number, place: number): void {
    this.count--;
    this.segmentOf(hash).delete(hash, place);
  }

  private segmentOf(hash: number): Segment {
    return this.segments[hash >>> (32 - segmentBits)] as Segment;
  }
}

class Segment {
  hashes = new Int32Array(capacityMin);
  /** 0: free. */
  places = new Uint32Array(capacityMin);
  private count = 0;

  add(hash: number, place: number): void {
    this.count++;
    if (this.count * 2 > this.places.length) this.resize(this.places.length * 2);
    this.put(hash, place);
  }

  slotOf(hash: number, place: number): number {
    const { places } = this;
    const mask = places.length - 1;
    let slot = hash & mask;
    while (places[slot] !== place) slot = (slot + 1) & mask;
    return slot;
  }

  delete(hash: number, place: number): void {
    const { hashes, places } = this;
    const mask = places.length - 1;
    let hole = this.slotOf(hash, place);
    this.count--;
    // Places behind the hole move up if a search would otherwise end at the hole before it reaches them.
    for (let slot = (hole + 1) & mask; places[slot] !== 0; slot = (slot + 1) & mask) {
      const home = (hashes[slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      places[hole] = places[slot] as number;
      hashes[hole] = hashes[slot] as number;
      hole = slot;
    }
    places[hole] = 0;
    if (this.count * 8 < places.length && places.length > capacityMin) this.resize(places.length / 2);
  }

  private resize(capacity: number): void {
    const { hashes, places } = this;
    this.hashes = new Int32Array(capacity);
    this.places = new Uint32Array(capacity);
    for (let slot = 0; slot < places.length; slot++) {
      if (places[slot] !== 0) this.put(hashes[slot] as number, places[slot] as number);
    }
  }

  private put(hash: number, place: number): void {
    const { hashes, places } = this;
    const mask = places.length - 1;
    let slot = hash & mask;
    while (places[slot] !== 0) slot = (slot + 1) & mask;
    hashes[slot] = hash;
    places[slot] = place;
  }
}
