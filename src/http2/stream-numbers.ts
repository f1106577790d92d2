import { windowBytesMax } from './frame.ts';
import { RecentResets } from './recent-resets.ts';

/** The highest number of a stream, which has 31 bits as a window has. */
const numberMax = windowBytesMax;

/** The numbers of the streams of a connection, by which the state of those that are not open is known (RFC 9113 section 5.1). */
export class StreamNumbers {
  /** The last stream that the peer has begun; 0 for none. */
  lastOfPeer = 0;
  private next: number;
  private readonly ownParity: number;
  /** Streams of the peer up to here are taken; fewer once this side goes away. */
  private acceptedMax = numberMax;
  private readonly resets = new RecentResets();

  constructor(isServer: boolean) {
    this.next = isServer ? 2 : 1;
    this.ownParity = isServer ? 0 : 1;
  }

  /** The number of the next stream of this side; null if there are no more. */
  take(): number | null {
    if (this.next > numberMax) return null;
    const id = this.next;
    this.next += 2;
    return id;
  }

  get hasNext(): boolean {
    return this.next <= numberMax;
  }

  isOfPeer(id: number): boolean {
    return (id & 1) !== this.ownParity;
  }

  /** Further streams of the peer are not taken. */
  acceptNoMore(): void {
    this.acceptedMax = this.lastOfPeer;
  }

  isAccepted(id: number): boolean {
    return id <= this.acceptedMax;
  }

  /** Whether nobody has begun it. */
  isIdle(id: number): boolean {
    return this.isOfPeer(id) ? id > this.lastOfPeer : id >= this.next;
  }

  /** This side has reset the stream. */
  wasReset(id: number): void {
    this.resets.add(id);
  }

  /** Whether frames of a stream that is not open may have been under way when it ended. */
  mayBeLate(id: number): boolean {
    return !this.isAccepted(id) || this.resets.has(id);
  }
}
