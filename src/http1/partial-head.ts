const nothing = Buffer.alloc(0);

/**
 * Keeps the bytes of an incomplete head until more arrive. The buffer grows by doubling, so that a head sent byte by
 * byte costs no more.
 */
export class PartialHead {
  private buffer: Buffer | null = null;
  private length = 0;

  get isEmpty(): boolean {
    return this.length === 0;
  }

  get size(): number {
    return this.length;
  }

  /** Appends a copy of `bytes[start, end)`, which may be part of the view from `take`. */
  add(bytes: Buffer, start: number, end: number): void {
    const added = end - start;
    const needed = this.length + added;
    if (this.buffer === null || this.buffer.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(512, needed, (this.buffer?.length ?? 0) * 2));
      this.buffer?.copy(grown, 0, 0, this.length);
      this.buffer = grown;
    }
    bytes.copy(this.buffer, this.length, start, end);
    this.length = needed;
  }

  /** Returns and removes all bytes. The view may be passed to the next `add`, which invalidates it. */
  take(): Buffer {
    const view = this.buffer === null ? nothing : this.buffer.subarray(0, this.length);
    this.length = 0;
    return view;
  }

  clear(): void {
    this.buffer = null;
    this.length = 0;
  }
}
