import { readdirSync, readFileSync } from 'node:fs';

/** How many descriptors this process may have open; Infinity if that cannot be found out. Node raises it to the hard limit. */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How many descriptors this process has open; 0 if that cannot be found out. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

const shortages: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN'];

/** Whether the error only says that the process or the machine lacks a resource at the moment. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && shortages.includes(error.code);
}
