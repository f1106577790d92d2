import { createHash } from 'node:crypto';
import { Field } from '../http/field-names.ts';
import type { Head } from './head.ts';
import type { ResponseHead } from './response-head.ts';

/** RFC 6455 section 1.3. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Whether one of the head's `Upgrade` fields names the protocol `websocket`, in whatever case. */
export function namesWebSocket(head: Head): boolean {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.fieldNumber(field) !== Field.UPGRADE) continue;
    for (const token of head.fieldValue(field).split(',')) if (token.trim().toLowerCase() === 'websocket') return true;
  }
  return false;
}

/**
 * The key of a handshake, checked by RFC 6455 section 4.2.1; a `problem` where the handshake is none. `isVersion` tells
 * that only its version is not served.
 */
export type Handshake =
  | { readonly key: string }
  | { readonly key: null; readonly problem: string; readonly isVersion: boolean };

export function readHandshake(head: Head): Handshake {
  let key = '';
  let version = '';
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.fieldNumber(field) !== Field.OTHER) continue;
    const name = head.fieldName(field).toLowerCase();
    if (name === 'sec-websocket-key') {
      if (key !== '') return malformed('two websocket keys');
      key = head.fieldValue(field);
    } else if (name === 'sec-websocket-version') {
      if (version !== '') return malformed('two websocket versions');
      version = head.fieldValue(field);
    }
  }
  // Sixteen bytes in base64.
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return malformed('websocket key');
  if (version !== '13') return { key: null, problem: 'websocket version', isVersion: true };
  return { key };
}

/** What is wrong with a 101 as the response to the handshake with `key` (RFC 6455 section 4.1); empty if nothing is. */
export function switchProblem(response: ResponseHead, key: string): string {
  if (response.versionMinor === 0) return 'switch on HTTP/1.0';
  if (!namesWebSocket(response)) return 'upgrade to websocket missing';
  if (response.nominated?.includes('upgrade') !== true) return 'connection: upgrade missing';
  let accept = '';
  for (let field = 0; field < response.fieldCount; field++) {
    if (response.fieldNumber(field) !== Field.OTHER) continue;
    if (response.fieldName(field).toLowerCase() !== 'sec-websocket-accept') continue;
    if (accept !== '') return 'two sec-websocket-accept';
    accept = response.fieldValue(field);
  }
  return accept === acceptOf(key) ? '' : 'sec-websocket-accept';
}

/** The `Sec-WebSocket-Accept` that answers a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${acceptSuffix}`, 'latin1').digest('base64');
}

function malformed(problem: string): Handshake {
  return { key: null, problem, isVersion: false };
}

const CLOSE = 8;
/** Header bytes of a frame that come before its extended length and its mask. */
const FIXED_HEADER = 2;

/**
 * Follows the frames of one direction of a WebSocket by their headers (RFC 6455 section 5.2), so that it is known
 * where one ends and another may be put in. Looks at no payload, checks nothing that the ends will check themselves.
 */
export class FrameReader {
  /** Whether a Close frame has begun in this direction. */
  hasClosed = false;
  /** The bytes are no frames: a length past what a number holds. Nothing is known of boundaries any more. */
  isBroken = false;
  private payloadLeft = 0;
  /** Bytes of the header that have been read, and that it has. */
  private have = 0;
  private need = FIXED_HEADER;
  private length = 0;
  private extended = 0;

  /** Whether the next byte begins a frame. */
  get isAtBoundary(): boolean {
    return this.payloadLeft === 0 && this.have === 0 && !this.isBroken;
  }

  /** Takes `bytes[start, end)`, or only up to the next boundary. @returns where it stopped. */
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

/** A Close frame with a code and no reason, as latin1; `mask` (RFC 6455 section 5.3) for one that goes to a server. */
export function closeFrame(code: number, mask: number | null): string {
  const payload = [code >> 8, code & 0xff];
  if (mask === null) return String.fromCharCode(0x80 | CLOSE, payload.length, ...payload);
  const key = [mask >>> 24, (mask >>> 16) & 0xff, (mask >>> 8) & 0xff, mask & 0xff];
  const masked = payload.map((byte, at) => byte ^ (key[at] as number));
  return String.fromCharCode(0x80 | CLOSE, 0x80 | payload.length, ...key, ...masked);
}
