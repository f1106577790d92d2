/**
 * The bytes that the peer may still send on a whole connection. Those that have come are given back at once, so that a stream that is
 * not read does not hold up the others, unless such streams keep too many together.
 */
export class ReceiveWindow {
  private readonly bytesMax: number;
  private readonly update: (increment: number) => void;
  private left: number;
  private owedBytes = 0;
  private keptBytes = 0;

  /** @param bytesMax of the window, and of the bytes that are kept. @param update tells the peer. */
  constructor(bytesMax: number, update: (increment: number) => void) {
    this.bytesMax = bytesMax;
    this.left = bytesMax;
    this.update = update;
  }

  /** @returns false if the peer has sent more than it may. */
  take(length: number): boolean {
    this.left -= length;
    this.owedBytes += length;
    if (this.left < 0) return false;
    this.giveBack();
    return true;
  }

  /** A stream that is not read keeps bytes that were taken. */
  keep(length: number): void {
    this.keptBytes += length;
  }

  release(length: number): void {
    if (length === 0) return;
    this.keptBytes -= length;
    this.giveBack();
  }

  private giveBack(): void {
    const { owedBytes } = this;
    if (owedBytes * 2 < this.bytesMax || this.keptBytes > this.bytesMax) return;
    this.left += owedBytes;
    this.owedBytes = 0;
    this.update(owedBytes);
  }
}
