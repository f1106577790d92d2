import { type Http2Stream, urgencyMax } from './stream.ts';

/** How much an incremental stream sends before the next one has its turn, in bytes. */
const shareBytes = 16_384;
/** Bytes that are sent in one turn. The socket then says whether the peer keeps up. */
const turnBytesMax = 256 * 1024;

/** The streams of a connection that have something to send and wait for a window or the socket, by urgency. */
export class WaitingStreams {
  private readonly levels: Http2Stream[][] = [];
  private count = 0;
  private readonly drained: Http2Stream[] = [];
  /** The last turn has sent all that one may. */
  hasMore = false;

  get isEmpty(): boolean {
    return this.count === 0;
  }

  add(stream: Http2Stream): void {
    if (stream.isWaiting) return;
    stream.isWaiting = true;
    this.count++;
    this.level(stream.urgency).push(stream);
  }

  /** @param urgency from which it is moved. */
  move(stream: Http2Stream, urgency: number): void {
    if (!stream.isWaiting) return;
    this.take(this.level(urgency), stream);
    this.level(stream.urgency).push(stream);
  }

  delete(stream: Http2Stream): void {
    if (!stream.isWaiting) return;
    stream.isWaiting = false;
    this.count--;
    this.take(this.level(stream.urgency), stream);
  }

  /**
   * Sends what waits, the most urgent first (RFC 9218 section 10): one stream after the other, and in turns those that are
   * incremental.
   */
  pump(): void {
    let sent = 0;
    for (let urgency = 0; urgency <= urgencyMax && this.count > 0 && sent < turnBytesMax; urgency++) {
      const level = this.levels[urgency];
      if (level !== undefined && level.length > 0) sent += this.pumpLevel(level, turnBytesMax - sent);
    }
    this.hasMore = sent >= turnBytesMax;
  }

  /** The socket has taken what was sent: the streams that have nothing left may go on. */
  tellDrained(): void {
    for (const stream of this.drained.splice(0)) stream.tellDrained();
  }

  private pumpLevel(level: Http2Stream[], bytesMax: number): number {
    let sent = 0;
    /** Streams in a row that could not send. */
    let stuck = 0;
    let at = 0;
    while (level.length > 0 && stuck < level.length && sent < bytesMax) {
      if (at >= level.length) at = 0;
      const stream = level[at] as Http2Stream;
      const taken = stream.pump(Math.min(bytesMax - sent, stream.isIncremental ? shareBytes : bytesMax));
      sent += taken;
      if (stream.hasQueue) {
        stuck = taken === 0 ? stuck + 1 : 0;
        at++;
        continue;
      }
      // The stream may have ended and left the list already.
      if (stream.isWaiting) this.delete(stream);
      this.drained.push(stream);
      stuck = 0;
    }
    // The next time, the one behind the last incremental one begins.
    if (at > 0 && at < level.length && level[0]?.isIncremental === true) level.push(...level.splice(0, at));
    return sent;
  }

  private level(urgency: number): Http2Stream[] {
    let level = this.levels[urgency];
    if (level === undefined) {
      level = [];
      this.levels[urgency] = level;
    }
    return level;
  }

  private take(level: Http2Stream[], stream: Http2Stream): void {
    const at = level.indexOf(stream);
    if (at >= 0) level.splice(at, 1);
  }
}
