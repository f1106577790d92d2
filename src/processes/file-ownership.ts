import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import type { RunAs } from './privileges.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** Symbolic links followed in one path, as many as Linux follows. */
const linksMax = 40;

/**
 * While this process is still root, gives an account the files that it will write. The account could redirect paths
 * meanwhile (CVE-2016-1247), so ownership changes only through descriptors opened without following a link, and only on
 * paths that root controls. Files left alone are reported to `warn`; the account must be able to write to them anyway.
 */
export class FileOwnership {
  private readonly account: RunAs;
  private readonly warn: (message: string) => void;

  constructor(account: RunAs, warn: (message: string) => void) {
    this.account = account;
    this.warn = warn;
  }

  /**
   * Creates a file's directory if only root controls that path, and gives the file to the account if root owns it.
   * Existing directories stay unchanged.
   * @throws HipacheError PRIVILEGES: the directory cannot be created.
   */
  give(path: string): void {
    const whole = resolve(path);
    this.makeDirectory(dirname(whole));
    const found = statOf(whole);
    if (found !== null) this.giveFound(whole, found);
  }

  /** Like `give`, but creates a missing file, because the account may not be allowed to write to its directory. */
  giveFile(path: string): void {
    this.give(path);
    const whole = resolve(path);
    if (statOf(whole) !== null || !this.isRoots(dirname(whole), 'but for itself')) return;
    const fd = openOnly(whole, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY);
    if (fd !== null) this.giveOpen(fd);
  }

  /** Creates the directory of something that the account makes itself. @throws as `give`. */
  giveDirectoryOf(path: string): void {
    this.makeDirectory(dirname(resolve(path)));
  }

  private giveFound(path: string, found: Stats): void {
    const { user } = this.account;
    if (!found.isFile()) {
      this.warn(`${path} is not a regular file, so it is not given to ${user}, who must be able to write to it`);
      return;
    }
    if (found.uid !== 0) return;
    const isFixed = this.isRoots(dirname(path), 'but for itself');
    const fd = isFixed ? openOnly(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) : null;
    const opened = fd === null ? null : fstatSync(fd);
    // A second name may be a link that the account has made to somebody else's file.
    if (fd === null || opened === null || !opened.isFile() || opened.nlink !== 1 || opened.uid !== 0) {
      if (fd !== null) closeSync(fd);
      const why = isFixed ? 'has several names' : `is in a directory where ${user} or others can replace it`;
      this.warn(`${path} belongs to root and ${why}, so it is not given to ${user}; run: chown ${user} ${path}`);
      return;
    }
    this.giveOpen(fd);
  }

  /** Only on a path that root controls; elsewhere the account creates the directory itself. */
  private makeDirectory(directory: string): void {
    const made: string[] = [];
    let there = directory;
    for (; !existsSync(there); there = dirname(there)) made.unshift(there);
    if (made.length === 0 || !this.isRoots(there, 'with itself')) return;
    for (const path of made) makeOne(path);
    // The outermost directory last: root controls all others until then.
    for (const path of made.reverse()) this.giveOpen(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  private giveOpen(fd: number): void {
    try {
      fchownSync(fd, this.account.uid, this.account.gid);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Whether only root can change where a path leads and remove what root creates there. With 'but for itself', the
   * directory itself may be writable by anybody.
   */
  private isRoots(directory: string, how: 'with itself' | 'but for itself'): boolean {
    let at = parse(directory).root;
    let rest = namesOf(directory);
    for (let links = 0; links <= linksMax; ) {
      const found = statOf(at);
      if (found === null) return false;
      if (found.isDirectory() && rest.length === 0 && how === 'but for itself') return true;
      if (found.uid !== 0) return false;
      if (found.isSymbolicLink()) {
        const target = resolve(dirname(at), readlinkSync(at));
        at = parse(target).root;
        rest = [...namesOf(target), ...rest];
        links++;
        continue;
      }
      if (!found.isDirectory() || this.mayWrite(found)) return false;
      const next = rest.shift();
      if (next === undefined) return true;
      at = join(at, next);
    }
    return false;
  }

  /** For a directory of root. In a sticky one, anybody can create files, but not change those of root. */
  private mayWrite({ mode, gid }: Stats): boolean {
    if ((mode & constants.S_IWOTH) !== 0) return (mode & 0o1000) === 0;
    return (mode & constants.S_IWGRP) !== 0 && [this.account.gid, ...this.account.groups].includes(gid);
  }
}

function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o750 });
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    const hint = 'create it for the user that the proxy runs as';
    throw new HipacheError('PRIVILEGES', `cannot create the directory ${path}: ${why}; ${hint}`, { cause });
  }
}

/** @returns null if the file has been replaced or removed, or cannot be created. */
function openOnly(path: string, flags: number): number | null {
  try {
    return openSync(path, flags, 0o644);
  } catch {
    return null;
  }
}

/** About the path itself, without following a link; null if it does not exist. */
function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

function namesOf(path: string): string[] {
  return path.split(sep).filter(Boolean);
}
