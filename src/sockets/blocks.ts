/** Largest read, and so the largest view, in bytes. */
export const blockBytes = 64 * 1024;

/** Unused blocks, kept so that a long body produces no garbage. */
const freeBlocks: Buffer[] = [];
const freeBlocksMax = 64;

/** A block of `blockBytes` with undefined content. */
export function takeBlock(): Buffer {
  return freeBlocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

/** Gives back the block under `view`. Nobody may use it after that. */
export function giveBlock(view: Buffer): void {
  if (freeBlocks.length < freeBlocksMax) freeBlocks.push(Buffer.from(view.buffer as ArrayBuffer));
}

/** How many connections may have a block for their own reads; the others share one. */
const readBlocksMax = 64;
let readBlocks = 0;

/**
 * A block into which a single connection reads a body. The bytes are written from here without a copy, so nothing is
 * read into the block until those writes have ended.
 */
export class ReadBlock {
  readonly bytes = takeBlock();
  private writes = 0;
  private isLeft = false;

  /** @returns null if all blocks are in use. */
  static take(): ReadBlock | null {
    if (readBlocks >= readBlocksMax) return null;
    readBlocks++;
    return new ReadBlock();
  }

  get isLent(): boolean {
    return this.writes > 0;
  }

  /** A write from this block continues after the call. */
  lend(): void {
    this.writes++;
  }

  /** A write from this block has ended. */
  returned(): void {
    this.writes--;
    this.freeIfUnused();
  }

  /** The connection no longer reads into this block. */
  leave(): void {
    this.isLeft = true;
    this.freeIfUnused();
  }

  private freeIfUnused(): void {
    if (this.writes > 0 || !this.isLeft) return;
    readBlocks--;
    giveBlock(this.bytes);
  }
}
