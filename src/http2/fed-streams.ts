import type { Http2Stream } from './stream.ts';

/** The streams of which the present read has had something: what they make of it leaves together. */
export class FedStreams {
  private readonly streams: Http2Stream[] = [];

  add(stream: Http2Stream): void {
    if (stream.isFed) return;
    stream.isFed = true;
    this.streams.push(stream);
  }

  /** The read is over: views of its bytes are valid no longer. */
  flush(): void {
    for (const stream of this.streams.splice(0)) stream.flushReceived();
  }
}
