import { readFileSync, writeFileSync } from 'node:fs';

/** Of the times in /proc, on every platform that Debian has today. */
const ticksPerSecond = 100;

/** A process and all its descendants that run now. */
export function processTree(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(processTree)];
}

/** User and system time of a process and its descendants so far, in seconds, to 10 ms. */
export function cpuSeconds(pid: number): number {
  return cpuTicks(pid, 2) / ticksPerSecond;
}

/** The same with the descendants that have ended and that their parents have waited for. */
export function cpuSecondsWithEnded(pid: number): number {
  return cpuTicks(pid, 4) / ticksPerSecond;
}

/** @param count 2 for user and system time, 4 for those of ended children as well. */
function cpuTicks(pid: number, count: 2 | 4): number {
  return processTree(pid).reduce((sum, one) => {
    // The name, in brackets, may have spaces; after it the user time is the 12th field.
    const fields = read(`/proc/${one}/stat`).split(')').at(-1)?.trim().split(' ') ?? [];
    return fields.slice(11, 11 + count).reduce((ticks, field) => ticks + Number(field), sum);
  }, 0);
}

/** Resident memory of a process and its descendants, in bytes: now, and at most since `resetPeak`. */
export function memory(pid: number): { residentBytes: number; peakBytes: number } {
  let residentBytes = 0;
  let peakBytes = 0;
  for (const one of processTree(pid)) {
    const status = read(`/proc/${one}/status`);
    residentBytes += kibOf(status, 'VmRSS') * 1024;
    peakBytes += kibOf(status, 'VmHWM') * 1024;
  }
  return { residentBytes, peakBytes };
}

/** Memory of a process and its descendants, a page that several of them share counted once, in bytes (PSS). */
export function proportionalBytes(pid: number): number {
  return processTree(pid).reduce((sum, one) => sum + kibOf(read(`/proc/${one}/smaps_rollup`), 'Pss') * 1024, 0);
}

/**
 * Looks at the resident memory of a process and its descendants again and again: they may come and go.
 * @returns what ends that, and returns the most that they had at once, in bytes.
 */
export function watchPeak(pid: number, everyMs: number): () => number {
  let peakBytes = 0;
  const look = (): void => {
    peakBytes = Math.max(peakBytes, memory(pid).residentBytes);
  };
  look();
  const timer = setInterval(look, everyMs);
  return () => {
    clearInterval(timer);
    look();
    return peakBytes;
  };
}

/**
 * Calls of a process that wrote something, to a file or a socket, since its start.
 * @throws where /proc does not tell this user.
 */
export function writeCalls(pid: number): number {
  const calls = /^syscw: (\d+)$/m.exec(read(`/proc/${pid}/io`))?.[1];
  if (calls === undefined) throw new Error(`/proc/${pid}/io does not tell the write calls of the process`);
  return Number(calls);
}

/** Starts the peak of the resident memory anew, where this user may. */
export function resetPeak(pid: number): void {
  for (const one of processTree(pid)) {
    try {
      writeFileSync(`/proc/${one}/clear_refs`, '5');
    } catch {
      // The peak then counts from the start of the process.
    }
  }
}

/** How long a core was busy, and how long the hypervisor had it taken away, in seconds since the machine started. */
export function coreSeconds(core: number): { busy: number; stolen: number } {
  const line = read('/proc/stat')
    .split('\n')
    .find((one) => one.startsWith(`cpu${core} `));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = (line ?? '')
    .split(' ')
    .slice(1)
    .map((ticks) => Number(ticks) / ticksPerSecond);
  return { busy: user + nice + system + irq + softirq, stolen };
}

function kibOf(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended meanwhile.
    return '';
  }
}
