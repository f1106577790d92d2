import { randomFillSync } from 'node:crypto';

/** The digits of many ids are drawn at once: a call for each request would cost more than the rest of the head. */
const idBytes = 24;
const idDigits = 2 * idBytes;
const drawn = Buffer.allocUnsafeSlow(idBytes * 341);
let digits = '';
let drawnAt = 0;

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
