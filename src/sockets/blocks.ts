/** Bytes of one read at most; what a single view can be. */
export const blockBytes = 64 * 1024;

/** Blocks that nobody uses, kept so that a long body leaves no garbage behind. */
const freeBlocks: Buffer[] = [];
const freeBlocksMax = 64;

/** A block of `blockBytes`, of undefined content. */
export function takeBlock(): Buffer {
  return freeBlocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

/** Gives back the block that `view` is of, which nobody may use any more. */
export function giveBlock(view: Buffer): void {
  if (freeBlocks.length < freeBlocksMax) freeBlocks.push(Buffer.from(view.buffer as ArrayBuffer));
}

/** Blocks that connections have for their reads alone: at most so many, the others share one. */
const readBlocksMax = 64;
let readBlocks = 0;

/**
 * A block that one connection reads a body into. What was read is written on from here, without a copy: as long as a
 * write has not ended, the block is not read into.
 */
export class ReadBlock {
  readonly bytes = takeBlock();
  private writes = 0;
  private isLeft = false;

  /** @returns null where there are as many as there may be. */
  static take(): ReadBlock | null {
    if (readBlocks >= readBlocksMax) return null;
    readBlocks++;
    return new ReadBlock();
  }

  get isLent(): boolean {
    return this.writes > 0;
  }

  /** A write from it goes on after the call. */
  lend(): void {
    this.writes++;
  }

  /** A write from it has ended. */
  returned(): void {
    this.writes--;
    this.freeIfUnused();
  }

  /** The connection reads into it no more. */
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
