import { accessSync, constants, existsSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** An account, as far as the rights to files depend on it. */
export interface FileUser {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** The user's groups besides `gid`. */
  readonly groups: readonly number[];
}

/** The rights that are needed; each is the bit of the mode for others. */
export const Access = { READ: 4, WRITE: 2, ENTER: 1 } as const;

/**
 * Why a path cannot be used, for a message: which file or directory is missing or not accessible, and for whom.
 * @param rights the sum of what is needed of the path itself, of `Access`. The directories above it must be enterable.
 * @param account null for the account of this process. For another one, modes and owners decide, not access lists.
 * @returns null if it can be used.
 */
export function accessProblem(path: string, rights: number, account: FileUser | null): string | null {
  const whole = resolve(path);
  const parents: string[] = [];
  for (let at = dirname(whole); ; at = dirname(at)) {
    parents.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const parent of parents) {
    const problem = problemOf(parent, Access.ENTER, account);
    if (problem !== null) return problem;
  }
  return problemOf(whole, rights, account);
}

/** The nearest directory of a path that exists: a missing file would be made in it. */
export function nearestDirectory(path: string): string {
  let at = dirname(resolve(path));
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  return at;
}

function problemOf(path: string, rights: number, account: FileUser | null): string | null {
  let stats: Stats;
  try {
    stats = statSync(path);
    if (account === null || account.uid === process.getuid?.()) accessSync(path, modeOf(rights));
    else if (!isAllowed(stats, rights, account)) return denied(path, rights, stats, account.user);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `${path} does not exist`;
    if (code !== 'EACCES') return `${path}: ${(error as Error).message}`;
    return denied(path, rights, null, account?.user ?? 'the user that runs this');
  }
}

function isAllowed({ mode, uid, gid }: Stats, rights: number, account: FileUser): boolean {
  if (account.uid === 0) return true;
  let shift = 0;
  if (uid === account.uid) shift = 6;
  else if (gid === account.gid || account.groups.includes(gid)) shift = 3;
  return ((mode >> shift) & rights) === rights;
}

function denied(path: string, rights: number, stats: Stats | null, user: string): string {
  const what = [
    (rights & Access.READ) !== 0 ? 'read' : '',
    (rights & Access.WRITE) !== 0 ? 'write' : '',
    rights === Access.ENTER ? 'enter' : '',
  ];
  const owner =
    stats === null
      ? ''
      : ` (mode ${(stats.mode & 0o7777).toString(8).padStart(4, '0')}, uid ${stats.uid}, gid ${stats.gid})`;
  return `${user} may not ${what.filter((word) => word !== '').join(' or ')} ${path}${owner}`;
}

function modeOf(rights: number): number {
  const { R_OK, W_OK, X_OK } = constants;
  return (
    ((rights & Access.READ) === 0 ? 0 : R_OK) |
    ((rights & Access.WRITE) === 0 ? 0 : W_OK) |
    ((rights & Access.ENTER) === 0 ? 0 : X_OK)
  );
}
