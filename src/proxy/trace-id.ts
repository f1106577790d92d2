import { randomFillSync } from 'node:crypto';

/** The digits of many ids are drawn at once: a call for each request would cost more than the rest of the head. */
const idBytes = 24;
const idDigits = 2 * idBytes;
const drawn = Buffer.allocUnsafeSlow(idBytes * 341);
let digits = '';
let drawnAt = 0;

/** The digits of a trace id that sampling uses: its last ones, which are random (W3C Trace Context Level 2, section 2.2.2.4). */
const sampledFrom = 24;
const sampledTo = 32;

/** A number from 0 up to but not including 1, drawn with the id. Makes no string. */
export function drawOf(traceId: string): number {
  let value = 0;
  for (let at = sampledFrom; at < sampledTo; at++) {
    const code = traceId.charCodeAt(at);
    // Digits, or the letters a to f.
    value = value * 16 + (code < 0x60 ? code - 0x30 : code - 0x57);
  }
  return value / 2 ** (4 * (sampledTo - sampledFrom));
}

/** 48 hexadecimal digits: 32 for a trace id, 16 for a parent id (W3C Trace Context, section 3.2.2). */
export function newTraceId(): string {
  if (drawnAt === digits.length) {
    digits = randomFillSync(drawn).toString('hex');
    drawnAt = 0;
  }
  const id = digits.slice(drawnAt, drawnAt + idDigits);
  drawnAt += idDigits;
  return id;
}
