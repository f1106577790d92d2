import { HeldBytes } from './held-bytes.ts';

/** The first bytes of a request's body, kept so that it can be sent to another backend, up to a limit. */
export class HeldBody {
  private readonly held = new HeldBytes();
  private dropped = false;

  /** Whether everything that came is still here. */
  get isWhole(): boolean {
    return !this.dropped;
  }

  /** What is held; valid until the next call of another method. */
  get bytes(): Buffer {
    return this.held.view;
  }

  /** Keeps a copy of `bytes[start, end)`. */
  add(bytes: Buffer, start: number, end: number): void {
    this.held.add(bytes, start, end);
  }

  /** Lets go of everything when it has become more than `bytesMax`: it can then not be sent again. */
  dropAbove(bytesMax: number): void {
    if (this.held.size <= bytesMax) return;
    this.held.clear();
    this.dropped = true;
  }
}
