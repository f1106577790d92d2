import { execFileSync, spawnSync } from 'node:child_process';
import { HipacheError } from '../base/errors.ts';

/** The account to which the process changes once every port is bound. */
export interface RunAs {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** The user's groups besides `gid`. */
  readonly groups: readonly number[];
}

/**
 * The account to change to; null if the process is not root, or if `user` tells it to stay root.
 * @throws HipacheError PRIVILEGES: no such user or group.
 */
export function resolveAccount(user: string, group: string | null): RunAs | null {
  if (process.getuid?.() !== 0) return null;
  const uid = Number(lookUp('-u', user));
  if (uid === 0) return null;
  const groups = lookUp('-G', user).split(' ').map(Number);
  return { user, uid, gid: group === null ? Number(lookUp('-g', user)) : groupId(group), groups };
}

/**
 * Whether `group` is the number of no group of this machine. A process can have such a group all the same.
 * @returns false if the process is not root, which then changes to no group.
 */
export function isUnknownGroupNumber(group: string | null): boolean {
  if (process.getuid?.() !== 0 || group === null || !/^\d+$/.test(group)) return false;
  // 2: the key is in no database. A machine without getent has another status.
  return spawnSync('getent', ['group', group], { stdio: 'ignore' }).status === 2;
}

/** Changes to the account permanently. @throws HipacheError PRIVILEGES. */
export function dropPrivileges(account: RunAs): void {
  try {
    process.setgroups?.(account.groups as number[]);
    process.setgid?.(account.gid);
    process.setuid?.(account.uid);
  } catch (error) {
    throw new HipacheError('PRIVILEGES', `cannot change to user ${account.user}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  try {
    const line = execFileSync('getent', ['group', group], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Number(line.split(':')[2]);
  } catch (error) {
    const hint = 'create it, or omit "group" to use that of "user"';
    throw new HipacheError('PRIVILEGES', `group: no group ${JSON.stringify(group)} on this machine; ${hint}`, {
      cause: error,
    });
  }
}

function lookUp(flag: string, user: string): string {
  try {
    // "--" ends the options, so that a user name is never read as a flag.
    return execFileSync('id', [flag, '--', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch (error) {
    const hint = 'create it, or set "user" to one that exists; "root" stays root';
    throw new HipacheError('PRIVILEGES', `user: no user ${JSON.stringify(user)} on this machine; ${hint}`, {
      cause: error,
    });
  }
}
