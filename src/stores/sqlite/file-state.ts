import { statSync } from 'node:fs';

/** The files at a path at one moment. Read with stat alone: to close a descriptor of a file drops SQLite's locks on it. */
export interface FileState {
  /** Device and inode of the database file; null if there is none. */
  readonly file: string | null;
  /** Device and inode of its `-wal` and `-shm`. */
  readonly log: string | null;
  readonly index: string | null;
  /** Size and time of the last change of the database file. */
  readonly stamp: string;
}

export function readFileState(path: string): FileState {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return {
    file: stat === undefined ? null : `${stat.dev}:${stat.ino}`,
    log: inodeOf(`${path}-wal`),
    index: inodeOf(`${path}-shm`),
    stamp: stat === undefined ? '' : `${stat.size}:${stat.mtimeNs}`,
  };
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function inodeOf(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}
