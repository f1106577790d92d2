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
/** Symbolic links on the way of one path, as many as Linux follows. */
const linksMax = 40;

/**
 * Gives an account, while this process is still root, what it is to write to. Nothing is changed through a path that
 * the account could bend meanwhile (CVE-2016-1247): only what has been opened without following a link, and only on a
 * way that is root's. A file that is not given is reported to `warn`; the account has to be able to write to it anyway.
 */
export class FileOwnership {
  private readonly account: RunAs;
  private readonly warn: (message: string) => void;

  constructor(account: RunAs, warn: (message: string) => void) {
    this.account = account;
    this.warn = warn;
  }

  /**
   * Makes the directory of a file where root alone can say what is there, and gives a file of root's to the account.
   * Directories that exist are left as they are.
   * @throws HipacheError PRIVILEGES: the directory cannot be made.
   */
  give(path: string): void {
    const whole = resolve(path);
    this.makeDirectory(dirname(whole));
    const found = statOf(whole);
    if (found !== null) this.giveFound(whole, found);
  }

  /** As `give`, of a file that is made where it is not there: its directory may not be one that the account may write. */
  giveFile(path: string): void {
    this.give(path);
    const whole = resolve(path);
    if (statOf(whole) !== null || !this.isRoots(dirname(whole), 'but for itself')) return;
    const fd = openOnly(whole, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY);
    if (fd !== null) this.giveOpen(fd);
  }

  private giveFound(path: string, found: Stats): void {
    const { user } = this.account;
    if (!found.isFile()) {
      this.warn(`${path} is no plain file and is not given to ${user}, who has to be able to write to it`);
      return;
    }
    if (found.uid !== 0) return;
    const isFixed = this.isRoots(dirname(path), 'but for itself');
    const fd = isFixed ? openOnly(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) : null;
    const opened = fd === null ? null : fstatSync(fd);
    // A second name of a file may be one that the account has given to a file of somebody else.
    if (fd === null || opened === null || !opened.isFile() || opened.nlink !== 1 || opened.uid !== 0) {
      if (fd !== null) closeSync(fd);
      const why = isFixed ? 'has several names' : `is where ${user} or others can put another file in its place`;
      this.warn(`${path} is root's and ${why}: it is not given to ${user}; do it yourself: chown ${user} ${path}`);
      return;
    }
    this.giveOpen(fd);
  }

  /** Where root alone says what is there; elsewhere the account makes it itself. */
  private makeDirectory(directory: string): void {
    const made: string[] = [];
    let there = directory;
    for (; !existsSync(there); there = dirname(there)) made.unshift(there);
    if (made.length === 0 || !this.isRoots(there, 'with itself')) return;
    for (const path of made) makeOne(path);
    // The outermost last: until then all of them are root's.
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
   * Whether nobody but root can change where a directory leads, nor take away what root makes there. With 'but for
   * itself' anybody may be able to write to the directory itself.
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

  /** Of a directory of root's. In a sticky one everybody can make files, but not touch those of root. */
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
    const hint = 'make it, for the user that the proxy runs as';
    throw new HipacheError('PRIVILEGES', `the directory ${path} cannot be made: ${why}; ${hint}`, { cause });
  }
}

/** null where it is another one by now, or gone, or cannot be made. */
function openOnly(path: string, flags: number): number | null {
  try {
    return openSync(path, flags, 0o644);
  } catch {
    return null;
  }
}

/** Of the name itself; null if it does not exist. */
function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

function namesOf(path: string): string[] {
  return path.split(sep).filter(Boolean);
}
