import { blockBytes, takeBlock } from './blocks.ts';

/**
 * Up to this length, in bytes, data is joined with the text around it; longer data is copied and written as a buffer.
 */
export const joinBytesMax = 16 * 1024;

/** A block that is not full yet. */
interface FillingBlock {
  readonly bytes: Buffer;
  length: number;
}

/** Data queued for writing: the common part of all sockets. */
export abstract class WriteQueue {
  /** Bytes queued since the connection began. */
  bytesQueued = 0;
  /** Latin1 text that waits for `flush`; usually all there is. */
  protected text = '';
  /** Parts queued before `text`, if there is more than text. Buffers are views of blocks. */
  protected parts: (string | Buffer)[] | null = null;
  /** The block behind the parts that `appendFramed` fills; null for none. */
  private filling: FillingBlock | null = null;

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

  /** Queues latin1 text with bytes behind it, together at most a block. All that is queued so goes out in few buffers. */
  appendFramed(head: string, bytes: Buffer, start: number, end: number): void {
    const length = head.length + end - start;
    this.bytesQueued += length;
    const block = this.blockFor(length);
    block.length += block.bytes.write(head, block.length, 'latin1');
    block.length += bytes.copy(block.bytes, block.length, start, end);
  }

  /** A block with room for so many bytes behind all that is queued. */
  private blockFor(length: number): FillingBlock {
    const { text } = this;
    if (this.filling !== null && this.filling.length + text.length + length > blockBytes) this.closeBlock();
    if (this.filling === null) {
      this.parts ??= [];
      if (text.length + length > blockBytes) {
        this.parts.push(text);
        this.text = '';
      }
      this.filling = { bytes: takeBlock(), length: 0 };
    }
    const { filling } = this;
    if (this.text !== '') filling.length += filling.bytes.write(this.text, filling.length, 'latin1');
    this.text = '';
    return filling;
  }

  /** Before `parts` are written, or others follow. */
  protected closeBlock(): void {
    const { filling } = this;
    if (filling === null) return;
    this.parts?.push(filling.bytes.subarray(0, filling.length));
    this.filling = null;
  }

  /** Queues a part after the text before it. */
  protected push(part: Buffer): void {
    this.closeBlock();
    this.parts ??= [];
    if (this.text !== '') this.parts.push(this.text);
    this.text = '';
    this.parts.push(part);
  }

  protected dropQueue(): void {
    this.text = '';
    this.parts = null;
    this.filling = null;
  }
}

/** Copies `bytes[start, end)`, at most `blockBytes`, into a block of its own. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const block = takeBlock();
  bytes.copy(block, 0, start, end);
  return block.subarray(0, end - start);
}
