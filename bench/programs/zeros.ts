import { Readable } from 'node:stream';

const block = Buffer.alloc(128 * 1024);

/** So many bytes of zero, of one block of memory. */
export class Zeros extends Readable {
  private leftBytes: number;

  constructor(bytes: number) {
    super({ highWaterMark: block.length });
    this.leftBytes = bytes;
  }

  override _read(): void {
    const bytes = Math.min(this.leftBytes, block.length);
    this.leftBytes -= bytes;
    this.push(bytes === 0 ? null : block.subarray(0, bytes));
  }
}
