import { blockBytes, takeBlock } from './blocks.ts';

/** Up to here bytes are joined with the text around them, beyond they are copied and written as a buffer. */
export const joinBytesMax = 16 * 1024;

/** What waits to be written: the part that all sockets have in common. */
export abstract class WriteQueue {
  /** Bytes queued since the beginning. */
  bytesQueued = 0;
  /** Waits for `flush`, as latin1; the usual case. */
  protected text = '';
  /** Waits before `text`, if it is not text alone. Buffers are views of blocks. */
  protected parts: (string | Buffer)[] | null = null;

  abstract flush(): boolean;

  write(bytes: Buffer, start: number, end: number): boolean {
    this.appendBytes(bytes, start, end);
    return this.flush();
  }

  append(text: string): void {
    this.text += text;
    this.bytesQueued += text.length;
  }

  appendBytes(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.bytesQueued += length;
    if (length <= joinBytesMax || length > blockBytes) {
      this.text += bytes.latin1Slice(start, end);
      return;
    }
    this.push(copyOf(bytes, start, end));
  }

  /** Queues a part behind the text before it. */
  protected push(part: Buffer): void {
    this.parts ??= [];
    if (this.text !== '') this.parts.push(this.text);
    this.text = '';
    this.parts.push(part);
  }

  protected dropQueue(): void {
    this.text = '';
    this.parts = null;
  }
}

/** A copy of `bytes[start, end)`, at most a block, in a block of its own. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const block = takeBlock();
  bytes.copy(block, 0, start, end);
  return block.subarray(0, end - start);
}
