import { PlaceIndex } from './place-index.ts';
import { RecordLog } from './record-log.ts';

/** Bytes of records that are moved for each byte that is added or freed, to give back the memory of freed ones. */
const movedPerByte = 4;
/** Bytes of freed records that may stay besides a quarter of the others. */
const deadBytesMin = 1024 * 1024;
/** Bytes of the index for each record, at most. */
const indexBytes = 16;

/** Records of a log by key. The memory of those that are replaced or deleted is given back: older records then move. */
export class RecordTable {
  readonly log = new RecordLog();
  private readonly index = new PlaceIndex(this.log);
  private readonly onMoved: (place: number) => void;

  /** @param onMoved called with the new place of a record. */
  constructor(onMoved: (place: number) => void = ignore) {
    this.onMoved = onMoved;
  }

  get size(): number {
    return this.index.size;
  }

  /** Memory of the records, in bytes. */
  get bytes(): number {
    return this.log.liveBytes + this.size * indexBytes;
  }

  /** The place of a key; 0 if it is not there. */
  find(key: string, hash: number): number {
    return this.index.get(key, hash);
  }

  /** A place, each as likely as any other; 0 if there is none. @param random from 0 up to but not including 1. */
  draw(random: () => number): number {
    return this.index.draw(random);
  }

  /** Adds a record whose key is not there. @returns its place, which is the last. */
  add(key: string, hash: number, epoch: number, state: number, body: Buffer): number {
    this.compact(RecordLog.sizeOf(key, body));
    const place = this.log.add(key, hash, epoch, state, body);
    this.index.add(hash, place);
    return place;
  }

  delete(place: number): void {
    const size = this.log.size(place);
    this.index.delete(this.log.hash(place), place);
    this.log.free(place);
    this.compact(size);
  }

  /** Makes the record the last. */
  moveToEnd(place: number): void {
    const { log } = this;
    const moved = log.move(place);
    this.index.replace(log.hash(moved), place, moved);
    this.onMoved(moved);
  }

  /** Moves the oldest records together if freed ones take too much. */
  private compact(bytes: number): void {
    const { log } = this;
    const bytesMax = bytes * movedPerByte;
    for (let moved = 0; moved < bytesMax && log.deadBytes > deadBytesMin + log.liveBytes / 4; ) {
      const place = log.oldest();
      if (place === 0) return;
      moved += log.size(place);
      this.moveToEnd(place);
    }
  }
}

function ignore(): void {}
