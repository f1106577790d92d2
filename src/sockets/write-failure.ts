/**
 * How long after a write to a backend has failed, or after the last bytes since, its last words are waited for. A
 * backend that refuses a body answers, and closes without reading the rest: the write fails while the response lies in
 * the receive buffer (CVE-2025-4366 is about its loss).
 */
export const writeFailureGraceMs = 250;

/** Whether a write failed as the peer takes nothing more, though it may have sent something. */
export function isPeerDone(code: string | undefined): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET';
}
