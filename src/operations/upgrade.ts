import { readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../base/errors.ts';

/** Pause between looks at the file, in ms. */
const againMs = 50;
/** Longer than a primary waits for a reload that is under way and for its successor, in ms. */
const waitMs = 600_000;

export interface UpgradeResult {
  /** The process that was asked. */
  readonly former: number;
  /** The process that serves now; null if that is not known, since there is no file. */
  readonly pid: number | null;
}

/**
 * Has the running primary replaced by the program that is now on disk.
 * @param pid of the primary; null: the one that the file names.
 * @param pidFile `server.pidFile`. With it, the result is waited for.
 * @throws HipacheError UPGRADE_FAILED.
 */
export async function upgradeInstance(pid: number | null, pidFile: string | null): Promise<UpgradeResult> {
  if (pid === null && pidFile === null) {
    throw new HipacheError('COMMAND_INVALID', 'set server.pidFile in the configuration, or give --pid');
  }
  const before = pidFile === null ? null : readPid(pidFile);
  const former = pid ?? before?.pid;
  if (former === undefined) {
    throw new HipacheError('UPGRADE_FAILED', `${pidFile} names no process: Hipache does not run, or has no such file`);
  }
  if (!isPrimary(former)) throw new HipacheError('UPGRADE_FAILED', `process ${former} is no primary of Hipache`);
  send(former);
  if (pidFile === null || before?.pid !== former) return { former, pid: null };
  const end = Date.now() + waitMs;
  while (Date.now() < end) {
    await delay(againMs);
    const now = readPid(pidFile);
    if (now !== null && now.pid !== former) return { former, pid: now.pid };
    if (now !== null && now.writtenNs !== before.writtenNs) {
      throw new HipacheError('UPGRADE_FAILED', `process ${former} goes on, and nothing is changed; see its log`);
    }
    if (!isPrimary(former)) throw new HipacheError('UPGRADE_FAILED', `process ${former} has ended; see its log`);
  }
  throw new HipacheError('UPGRADE_FAILED', `process ${former} did not report how the upgrade went; see its log`);
}

function send(pid: number): void {
  try {
    process.kill(pid, 'SIGUSR2');
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    throw new HipacheError('UPGRADE_FAILED', `process ${pid} cannot be signalled: ${cause.code}`, { cause });
  }
}

/** The signal would end other programs. */
function isPrimary(pid: number): boolean {
  try {
    return /\/(?:src\/main\.ts|dist\/main\.js)\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  } catch {
    return false;
  }
}

function readPid(path: string): { readonly pid: number; readonly writtenNs: bigint } | null {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? { pid, writtenNs: statSync(path, { bigint: true }).mtimeNs } : null;
  } catch {
    return null;
  }
}
