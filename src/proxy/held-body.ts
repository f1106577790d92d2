/** The first bytes of a request's body, kept so that it can be sent to another backend, up to a limit. */
export class HeldBody {
  private pieces: Buffer[] = [];
  private length = 0;
  private dropped = false;

  /** Whether everything that came is still here. */
  get isWhole(): boolean {
    return !this.dropped;
  }

  get isEmpty(): boolean {
    return this.length === 0;
  }

  /** Keeps a copy of `bytes[start, end)`. */
  add(bytes: Buffer, start: number, end: number): void {
    this.pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.length += end - start;
  }

  /** Lets go of everything when it has become more than `bytesMax`: it can then not be sent again. */
  dropAbove(bytesMax: number): void {
    if (this.length > bytesMax) this.drop();
  }

  drop(): void {
    this.pieces = [];
    this.length = 0;
    this.dropped = true;
  }

  forEach(use: (piece: Buffer) => void): void {
    for (const piece of this.pieces) use(piece);
  }
}
