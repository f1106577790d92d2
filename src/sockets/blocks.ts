/** Bytes of one read at most; what a single view can be. */
export const blockBytes = 64 * 1024;

/** Free blocks for copies of what is on its way, used again so that a long body leaves no garbage behind. */
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
