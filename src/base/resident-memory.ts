import { openSync, readSync } from 'node:fs';

const bytes = Buffer.alloc(8192);
let status: number | null = null;
let last = 0;

/**
 * The resident memory of this process, in bytes. Unlike `process.memoryUsage.rss`, it opens its file only once, so that
 * it works when descriptors have run out. If the memory cannot be read, the last known value is returned.
 */
export function residentBytes(): number {
  try {
    status ??= openSync('/proc/self/status', 'r');
    const text = bytes.latin1Slice(0, readSync(status, bytes, 0, bytes.length, 0));
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
    last = kibibytes === undefined ? process.memoryUsage.rss() : Number(kibibytes) * 1024;
  } catch {
    try {
      last = process.memoryUsage.rss();
    } catch {}
  }
  return last;
}
