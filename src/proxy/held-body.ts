/**
 * The first bytes of a request's body, kept so that it can be sent to another backend, up to a limit. They are kept as
 * a latin1 string: short-lived buffers of this size would keep the garbage collector busy (64 KiB uploads cost twice
 * as much with them).
 */
export class HeldBody {
  /** What is held, byte for byte as latin1. */
  text = '';
  /** Whether everything that came is still here. */
  isWhole = true;

  /** Keeps a copy of `bytes[start, end)`. */
  add(bytes: Buffer, start: number, end: number): void {
    this.text += bytes.latin1Slice(start, end);
  }

  /** Lets go of everything when it has become more than `bytesMax`: it can then not be sent again. */
  dropAbove(bytesMax: number): void {
    if (this.text.length > bytesMax) this.drop();
  }

  drop(): void {
    this.text = '';
    this.isWhole = false;
  }
}
