const CLOSE = 8;
/** Header bytes before the extended length and the mask. */
const FIXED_HEADER = 2;

/**
 * Tracks the frames in one direction of a WebSocket by their headers (RFC 6455 section 5.2), to find where one ends and
 * another can be inserted. It ignores payloads, and validates nothing that the endpoints validate.
 */
export class FrameReader {
  /** Whether a Close frame has begun in this direction. */
  hasClosed = false;
  /** The bytes are not frames: a length exceeds the safe integers. The boundaries are unknown from then on. */
  isBroken = false;
  private payloadLeft = 0;
  /** Header bytes read so far, and bytes that the header has. */
  private have = 0;
  private need = FIXED_HEADER;
  private length = 0;
  private extended = 0;

  /** Whether the next byte begins a frame. */
  get isAtBoundary(): boolean {
    return this.payloadLeft === 0 && this.have === 0 && !this.isBroken;
  }

  /** Consumes `bytes[start, end)`, or only up to the next boundary. @returns where it stopped. */
  read(bytes: Buffer, start: number, end: number, toBoundary = false): number {
    let at = start;
    while (at < end && !this.isBroken) {
      if (this.payloadLeft > 0) {
        const taken = Math.min(this.payloadLeft, end - at);
        this.payloadLeft -= taken;
        at += taken;
      } else {
        this.readHeaderByte(bytes[at] as number);
        at++;
      }
      if (toBoundary && this.isAtBoundary) return at;
    }
    return end;
  }

  private readHeaderByte(byte: number): void {
    const position = this.have++;
    if (position === 0) {
      if ((byte & 0x0f) === CLOSE) this.hasClosed = true;
      return;
    }
    if (position === 1) {
      const length = byte & 0x7f;
      this.extended = length === 126 ? 2 : length === 127 ? 8 : 0;
      this.length = this.extended === 0 ? length : 0;
      this.need = FIXED_HEADER + this.extended + ((byte & 0x80) === 0 ? 0 : 4);
    } else if (position < FIXED_HEADER + this.extended) {
      this.length = this.length * 256 + byte;
    }
    if (this.have < this.need) return;
    this.payloadLeft = this.length;
    this.isBroken = !Number.isSafeInteger(this.length);
    this.have = 0;
    this.need = FIXED_HEADER;
  }
}

/** A Close frame with a code and no reason, as latin1. `mask` is for frames to a server (RFC 6455 section 5.3). */
export function closeFrame(code: number, mask: number | null): string {
  const payload = [code >> 8, code & 0xff];
  if (mask === null) return String.fromCharCode(0x80 | CLOSE, payload.length, ...payload);
  const key = [mask >>> 24, (mask >>> 16) & 0xff, (mask >>> 8) & 0xff, mask & 0xff];
  const masked = payload.map((byte, at) => byte ^ (key[at] as number));
  return String.fromCharCode(0x80 | CLOSE, 0x80 | payload.length, ...key, ...masked);
}
