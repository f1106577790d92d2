/**
 * How long a backend is still read after a write to it failed, or after the last bytes since then, in ms. A backend
 * that refuses a body responds and closes without reading the rest: the write fails while the response is in the
 * receive buffer (CVE-2025-4366 is about losing it).
 */
export const writeFailureGraceMs = 250;

/** Whether a write failed because the peer accepts no more data; it may still have sent some. */
export function isPeerDone(code: string | undefined): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET';
}
