import { readFileSync } from 'node:fs';

/** The worker processes of a primary, in the order of their start. */
export function workerPids(primary: number): number[] {
  return childrenOf(primary).filter((pid) => !isAdmin(pid));
}

/** The process of the admin API; null if there is none. */
export function adminPid(primary: number): number | null {
  return childrenOf(primary).find(isAdmin) ?? null;
}

function isAdmin(pid: number): boolean {
  return read(`/proc/${pid}/cmdline`).includes('admin/main');
}

function childrenOf(primary: number): number[] {
  return read(`/proc/${primary}/task/${primary}/children`)
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => read(`/proc/${pid}/status`).includes('State:') && !isZombie(pid));
}

/** The user that a process runs as. */
export function userOf(pid: number): number {
  return Number(/Uid:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1]);
}

/** Whether a process exists. */
export function isRunning(pid: number): boolean {
  return read(`/proc/${pid}/status`) !== '' && !isZombie(pid);
}

function isZombie(pid: number): boolean {
  return /State:\s+Z/.test(read(`/proc/${pid}/status`));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended.
    return '';
  }
}
