const keptMax = 512;

/** Streams that this side has reset lately, of which frames may still be under way. */
export class RecentResets {
  private readonly streams: number[] = [];
  private at = 0;

  add(stream: number): void {
    this.streams[this.at] = stream;
    this.at = (this.at + 1) % keptMax;
  }

  has(stream: number): boolean {
    return this.streams.includes(stream);
  }
}
