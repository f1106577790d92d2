import { blockBytes, takeBlock } from './blocks.ts';

/**
 * Up to this length, in bytes, data is joined with the text around it; longer data is copied and written as a buffer.
 */
export const joinBytesMax = 16 * 1024;

/** Data queued for writing: the common part of all sockets. */
export abstract class WriteQueue {
  /** Bytes queued since the connection began. */
  bytesQueued = 0;
  /** Latin1 text that waits for `flush`; usually all there is. */
  protected text = '';
  /** Parts queued before `text`, if there is more than text. Buffers are views of blocks. */
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

  /** Queues a part after the text before it. */
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

/** Copies `bytes[start, end)`, at most `blockBytes`, into a block of its own. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const block = takeBlock();
  bytes.copy(block, 0, start, end);
  return block.subarray(0, end - start);
}
