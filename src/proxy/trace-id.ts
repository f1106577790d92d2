import { randomFillSync } from 'node:crypto';

/** Random bytes are drawn for many ids at once: one call per request would cost more than the rest of the head. */
const idBytes = 24;
const drawn = Buffer.allocUnsafeSlow(idBytes * 341);
let drawnAt = drawn.length;

/** 48 hexadecimal digits: 32 for a trace id, 16 for a parent id (W3C Trace Context, section 3.2.2). */
export function newTraceId(): string {
  if (drawnAt === drawn.length) {
    randomFillSync(drawn);
    drawnAt = 0;
  }
  const id = drawn.toString('hex', drawnAt, drawnAt + idBytes);
  drawnAt += idBytes;
  return id;
}
