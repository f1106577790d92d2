/**
 * How long a backend is read from after a write to it has failed, or after the last bytes that came since, in ms. A
 * backend that refuses a body responds and closes without reading the rest: the write fails while the response lies in
 * the receive buffer (CVE-2025-4366 is about its loss).
 */
export const writeFailureGraceMs = 250;

/** Whether a write failed as the peer takes nothing more, though it may have sent something. */
export function isPeerDone(code: string | undefined): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET';
}
