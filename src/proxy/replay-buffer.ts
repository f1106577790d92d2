/** Where a kept body goes. */
interface BodyTaker {
  /** Of latin1. */
  sendText(text: string): void;
  sendData(bytes: Buffer, start: number, end: number): void;
}

/**
 * The first bytes of a request's body, kept so that it can be sent to another backend, up to a limit. They are kept as
 * a latin1 string: short-lived buffers of this size would keep the garbage collector busy (64 KiB uploads cost twice
 * as much with them).
 */
export class ReplayBuffer {
  /** The content, byte for byte as latin1. */
  private text = '';
  /** What came last: a view that is good only during the read that brought it, and not yet in `text`. */
  private last: Buffer | null = null;
  private lastStart = 0;
  private lastEnd = 0;
  /** Whether everything that came is still here. */
  isWhole = true;

  /** Holds `bytes[start, end)`; before the read that brought them is over, `keep` has to be called. */
  add(bytes: Buffer, start: number, end: number): void {
    this.keep();
    this.last = bytes;
    this.lastStart = start;
    this.lastEnd = end;
  }

  /** Copies what is only a view so far. */
  keep(): void {
    if (this.last === null) return;
    this.text += this.last.latin1Slice(this.lastStart, this.lastEnd);
    this.last = null;
  }

  sendTo(connection: BodyTaker): void {
    connection.sendText(this.text);
    if (this.last !== null) connection.sendData(this.last, this.lastStart, this.lastEnd);
  }

  /** Lets go of everything when it has become more than `bytesMax`: it can then not be sent again. */
  dropAbove(bytesMax: number): void {
    const lastBytes = this.last === null ? 0 : this.lastEnd - this.lastStart;
    if (this.text.length + lastBytes > bytesMax) this.drop();
  }

  drop(): void {
    this.text = '';
    this.last = null;
    this.isWhole = false;
  }
}
