import { keyedHash } from './pattern-map.ts';
import { LogCursor } from './record-log.ts';
import { RecordTable } from './record-table.ts';

/** In place of the worker that holds a record: it has gone. */
export const nobody = 0;

/** Nobody holds it, or the worker that was given it has not read it yet. */
const orphan = 1;
const assigned = 2;
/** The characters of the text take two bytes. */
const wide = 4;

/**
 * Texts by key, as bytes: about 50 more than their characters. Each has a holder: the worker that learns of its changes,
 * or `nobody`. Keys beyond latin1 are not kept: no client can ask for them.
 */
export class HeldRecords {
  private readonly table = new RecordTable();
  private readonly log = this.table.log;
  private orphans = 0;
  private assignments = 0;
  /** Where the search for orphans goes on. */
  private cursor = new LogCursor();

  get size(): number {
    return this.table.size;
  }

  get bytes(): number {
    return this.table.bytes;
  }

  /** Records without a holder, or whose holder has not read them yet. */
  get unverified(): number {
    return this.orphans + this.assignments;
  }

  has(key: string): boolean {
    return this.find(key) !== 0;
  }

  get(key: string): string | undefined {
    const place = this.find(key);
    return place === 0 ? undefined : this.text(place);
  }

  holderOf(key: string): number | undefined {
    const place = this.find(key);
    return place === 0 ? undefined : this.log.epoch(place);
  }

  /** Whether its holder was given it, and has not read it yet. */
  isAssigned(key: string): boolean {
    const place = this.find(key);
    return place !== 0 && (this.log.state(place) & assigned) !== 0;
  }

  /** Adds a record whose key is not there. @returns whether it is kept. */
  put(key: string, text: string, holder: number): boolean {
    if (isWide(key)) return false;
    const encoding = isWide(text) ? wide : 0;
    const body = Buffer.from(text, encoding === wide ? 'utf16le' : 'latin1');
    const place = this.table.add(key, keyedHash(key), holder, encoding, body);
    if (holder === nobody) this.setKind(place, orphan);
    return true;
  }

  /** The worker has read the record. */
  hold(key: string, holder: number): void {
    const place = this.find(key);
    if (place === 0) return;
    this.log.setEpoch(place, holder);
    this.setKind(place, holder === nobody ? orphan : 0);
  }

  /** @returns whether it was there. */
  delete(key: string): boolean {
    const place = this.find(key);
    if (place === 0) return false;
    this.setKind(place, 0);
    this.table.delete(place);
    return true;
  }

  /** The key that was added longest ago. At least one must be there. */
  oldest(): string {
    return this.log.key(this.log.oldest());
  }

  /** The record is the last to go. */
  moveToEnd(key: string): void {
    const place = this.find(key);
    if (place !== 0) this.table.moveToEnd(place);
  }

  /** A key at random; empty if there is none. */
  draw(random: () => number): string {
    const place = this.table.draw(random);
    return place === 0 ? '' : this.log.key(place);
  }

  /** Keys, oldest first. They may change meanwhile. */
  *keys(): IterableIterator<string> {
    for (const place of this.places()) yield this.log.key(place);
  }

  /** The holder has gone; null: all have. */
  abandon(holder: number | null): void {
    for (const place of this.places()) {
      if (holder !== null && this.log.epoch(place) !== holder) continue;
      this.log.setEpoch(place, nobody);
      this.setKind(place, orphan);
    }
    this.cursor = new LogCursor();
  }

  /** Gives a worker up to `count` records without a holder. @returns their keys. */
  assign(count: number, holder: number): string[] {
    const { log } = this;
    const keys: string[] = [];
    let isAround = false;
    while (keys.length < count && this.orphans > 0) {
      const place = log.next(this.cursor);
      if (place === 0) {
        if (isAround) break;
        isAround = true;
        this.cursor = new LogCursor();
        continue;
      }
      if ((log.state(place) & orphan) === 0) continue;
      log.setEpoch(place, holder);
      this.setKind(place, assigned);
      keys.push(log.key(place));
    }
    return keys;
  }

  private *places(): IterableIterator<number> {
    const cursor = new LogCursor();
    for (let place = this.log.next(cursor); place !== 0; place = this.log.next(cursor)) yield place;
  }

  private find(key: string): number {
    return this.table.find(key, keyedHash(key));
  }

  private text(place: number): string {
    const { log } = this;
    const [from, bytes] = [log.bodyAt(place), log.bytes(place)];
    const to = from + log.bodyLength(place);
    return (log.state(place) & wide) === 0 ? bytes.latin1Slice(from, to) : bytes.toString('utf16le', from, to);
  }

  private setKind(place: number, kind: 0 | typeof orphan | typeof assigned): void {
    const { log } = this;
    const before = log.state(place);
    if ((before & orphan) !== 0) this.orphans--;
    if ((before & assigned) !== 0) this.assignments--;
    if (kind === orphan) this.orphans++;
    if (kind === assigned) this.assignments++;
    log.setState(place, (before & wide) | kind);
  }
}

function isWide(text: string): boolean {
  return /[^\0-\xff]/.test(text);
}
