import { invariant } from '../base/invariant.ts';

/** Bytes of a block. A record that does not fit has a block of its own. */
const blockBytes = 1024 * 1024;
const blocksMax = 1 << 15;
/** Records begin at multiples of 8 bytes, so that a place fits into 32 bits: 15 for the block, 17 for the offset. */
const offsetBits = 17;
const alignBits = 3;
const headerBytes = 16;
/** The words of a header, of 32 bits each. The lowest bits of the size are the bytes that align the next record. */
const sizeWord = 0;
const paddingMask = 7;
const hashWord = 1;
const epochWord = 2;
/** The state in the lowest 8 bits, one for `dead`, then the length of the key. */
const stateWord = 3;
const dead = 0x100;
const keyShift = 9;

/** How far a walk through a log has come. Records may be added, moved and freed meanwhile. */
export class LogCursor {
  /** Of the block: its number, its index in the order of blocks when it was last looked for, and where the walk is in it. */
  serial = 0;
  index = 0;
  at = 0;
}

interface Block {
  /** Larger than those of all blocks before it. */
  serial: number;
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** Bytes written, and those of records that have not been freed. */
  used: number;
  live: number;
}

/**
 * Records in blocks of bytes, in the order in which they were added. A block whose records have all been freed, or moved
 * to the end, is given back. A place, from 1, names a record until then.
 *
 * A record has a key of latin1, a hash, an epoch, a state of 8 bits, and a body.
 */
export class RecordLog {
  private readonly blocks: (Block | null)[] = [null];
  private readonly freeIds: number[] = [];
  /** Ids of the blocks, oldest first. Records are added to the last. */
  private readonly order: number[] = [];
  private tail: Block | null = null;
  private tailId = 0;
  private spare: Block | null = null;
  private serials = 0;
  /** What of the oldest block has been looked at: only freed and moved records. */
  private handAt = 0;
  /** Bytes of the records, and of those that were freed and whose blocks are still there. */
  liveBytes = 0;
  deadBytes = 0;

  /** The bytes that a record takes. */
  static sizeOf(key: string, body: Uint8Array): number {
    return aligned(headerBytes + key.length + body.length);
  }

  add(key: string, hash: number, epoch: number, state: number, body: Buffer): number {
    const size = RecordLog.sizeOf(key, body);
    const place = this.reserve(size);
    const { bytes, words } = this.blockOf(place);
    const at = offsetOf(place);
    words[at >> 2] = size | (size - headerBytes - key.length - body.length);
    words[(at >> 2) + hashWord] = hash;
    words[(at >> 2) + epochWord] = epoch;
    words[(at >> 2) + stateWord] = state | (key.length << keyShift);
    bytes.write(key, at + headerBytes, 'latin1');
    bytes.set(body, at + headerBytes + key.length);
    return place;
  }

  free(place: number): void {
    const block = this.blockOf(place);
    const { words } = block;
    const at = offsetOf(place) >> 2;
    invariant(((words[at + stateWord] as number) & dead) === 0, 'a record is freed once');
    words[at + stateWord] = (words[at + stateWord] as number) | dead;
    const size = (words[at + sizeWord] as number) & ~paddingMask;
    block.live -= size;
    this.liveBytes -= size;
    this.deadBytes += size;
    if (block.live === 0) this.release(place >>> offsetBits);
  }

  /** Moves a record to the end. @returns its new place. */
  move(place: number): number {
    const block = this.blockOf(place);
    const at = offsetOf(place);
    if (block === this.tail) this.tail = null;
    const size = this.size(place);
    const moved = this.reserve(size);
    block.bytes.copy(this.blockOf(moved).bytes, offsetOf(moved), at, at + size);
    this.free(place);
    return moved;
  }

  /** The oldest record; 0 if there is none. */
  oldest(): number {
    if (this.liveBytes === 0) return 0;
    const [id] = this.order as [number];
    const { words } = this.blocks[id] as Block;
    while (((words[(this.handAt >> 2) + stateWord] as number) & dead) !== 0) {
      this.handAt += (words[(this.handAt >> 2) + sizeWord] as number) & ~paddingMask;
    }
    return placeOf(id, this.handAt);
  }

  /** The record at the cursor, which moves behind it; 0 at the end. */
  next(cursor: LogCursor): number {
    for (;;) {
      const id = this.order[this.indexOf(cursor)];
      if (id === undefined) return 0;
      const { words, used } = this.blocks[id] as Block;
      while (cursor.at < used) {
        const { at } = cursor;
        cursor.at += (words[(at >> 2) + sizeWord] as number) & ~paddingMask;
        if (((words[(at >> 2) + stateWord] as number) & dead) === 0) return placeOf(id, at);
      }
      cursor.serial++;
      cursor.at = 0;
    }
  }

  /** The index in `order` of the block of the cursor, or of the next one if that has been given back. */
  private indexOf(cursor: LogCursor): number {
    const serialOf = (index: number): number => {
      const id = this.order[index];
      return id === undefined ? Number.POSITIVE_INFINITY : (this.blocks[id] as Block).serial;
    };
    let { index } = cursor;
    while (index > 0 && serialOf(index - 1) >= cursor.serial) index--;
    while (serialOf(index) < cursor.serial) index++;
    const serial = serialOf(index);
    if (serial !== cursor.serial) cursor.at = 0;
    if (serial !== Number.POSITIVE_INFINITY) cursor.serial = serial;
    cursor.index = index;
    return index;
  }

  has(place: number, key: string): boolean {
    const { bytes, words } = this.blockOf(place);
    const at = offsetOf(place);
    const { length } = key;
    if ((words[(at >> 2) + stateWord] as number) >>> keyShift !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[at + headerBytes + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  key(place: number): string {
    const at = offsetOf(place) + headerBytes;
    return this.blockOf(place).bytes.latin1Slice(at, at + this.keyLength(place));
  }

  hash(place: number): number {
    return this.word(place, hashWord);
  }

  epoch(place: number): number {
    return this.word(place, epochWord);
  }

  setEpoch(place: number, epoch: number): void {
    this.blockOf(place).words[(offsetOf(place) >> 2) + epochWord] = epoch;
  }

  state(place: number): number {
    return this.word(place, stateWord) & 0xff;
  }

  setState(place: number, state: number): void {
    const { words } = this.blockOf(place);
    const at = (offsetOf(place) >> 2) + stateWord;
    words[at] = ((words[at] as number) & ~0xff) | state;
  }

  size(place: number): number {
    return this.word(place, sizeWord) & ~paddingMask;
  }

  /** The bytes that have the body, from `bodyAt` on. */
  bytes(place: number): Buffer {
    return this.blockOf(place).bytes;
  }

  bodyAt(place: number): number {
    return offsetOf(place) + headerBytes + this.keyLength(place);
  }

  bodyLength(place: number): number {
    const padding = this.word(place, sizeWord) & paddingMask;
    return this.size(place) - padding - headerBytes - this.keyLength(place);
  }

  private keyLength(place: number): number {
    return this.word(place, stateWord) >>> keyShift;
  }

  private word(place: number, word: number): number {
    return this.blockOf(place).words[(offsetOf(place) >> 2) + word] as number;
  }

  private blockOf(place: number): Block {
    return this.blocks[place >>> offsetBits] as Block;
  }

  private reserve(size: number): number {
    if (this.tail === null || this.tail.used + size > this.tail.bytes.length) this.open(size);
    const tail = this.tail as unknown as Block;
    const place = placeOf(this.tailId, tail.used);
    tail.used += size;
    tail.live += size;
    this.liveBytes += size;
    return place;
  }

  private open(size: number): void {
    const block = size <= blockBytes && this.spare !== null ? this.spare : makeBlock(Math.max(size, blockBytes));
    if (block === this.spare) this.spare = null;
    const id = this.freeIds.pop() ?? this.blocks.length;
    invariant(id < blocksMax, 'a log has at most 32,767 blocks');
    block.serial = ++this.serials;
    this.blocks[id] = block;
    this.order.push(id);
    this.tail = block;
    this.tailId = id;
  }

  private release(id: number): void {
    const block = this.blocks[id] as Block;
    this.deadBytes -= block.used;
    if (block === this.tail) this.tail = null;
    const at = this.order.indexOf(id);
    this.order.splice(at, 1);
    if (at === 0) this.handAt = 0;
    this.blocks[id] = null;
    this.freeIds.push(id);
    block.used = 0;
    if (block.bytes.length === blockBytes) this.spare = block;
  }
}

function makeBlock(size: number): Block {
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset, size >> 2), serial: 0, used: 0, live: 0 };
}

function aligned(size: number): number {
  return (size + 7) & ~7;
}

function placeOf(id: number, offset: number): number {
  return ((id << offsetBits) | (offset >>> alignBits)) >>> 0;
}

function offsetOf(place: number): number {
  return (place & ((1 << offsetBits) - 1)) << alignBits;
}
