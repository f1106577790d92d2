/** Receives a kept body. */
interface BodyTaker {
  /** Latin1 text. */
  sendText(text: string): void;
  sendData(bytes: Buffer, start: number, end: number): void;
}

/**
 * The first bytes of a request's body, up to a limit, kept for sending them to another backend. They are kept as a
 * latin1 string because short-lived buffers of this size keep the garbage collector busy: with those, 64 KiB uploads
 * cost twice as much.
 */
export class ReplayBuffer {
  /** The content, one character per byte. */
  private text = '';
  /** The latest bytes, not yet in `text`: a view that is valid only during the read that brought it. */
  private last: Buffer | null = null;
  private lastStart = 0;
  private lastEnd = 0;
  /** Whether all bytes of the body so far are still here. */
  isWhole = true;

  /** Holds a view of `bytes[start, end)`. The caller must call `keep` before the read ends. */
  add(bytes: Buffer, start: number, end: number): void {
    this.keep();
    this.last = bytes;
    this.lastStart = start;
    this.lastEnd = end;
  }

  /**
   * Adds bytes of a body that a backend is getting, as long as all of it can be kept.
   * @param bytesMax 0 if it cannot be sent again.
   */
  addSent(bytes: Buffer, start: number, end: number, bytesMax: number): void {
    if (!this.isWhole) return;
    this.add(bytes, start, end);
    this.dropAbove(bytesMax);
  }

  /** Copies the bytes that are still a view. */
  keep(): void {
    if (this.last === null) return;
    this.text += this.last.latin1Slice(this.lastStart, this.lastEnd);
    this.last = null;
  }

  sendTo(connection: BodyTaker): void {
    connection.sendText(this.text);
    if (this.last !== null) connection.sendData(this.last, this.lastStart, this.lastEnd);
  }

  /** Bytes that are kept. */
  get size(): number {
    return this.text.length + (this.last === null ? 0 : this.lastEnd - this.lastStart);
  }

  /** Drops the content if it exceeds `bytesMax`; the body can then no longer be resent. */
  dropAbove(bytesMax: number): void {
    if (this.size > bytesMax) this.drop();
  }

  drop(): void {
    this.text = '';
    this.last = null;
    this.isWhole = false;
  }
}
