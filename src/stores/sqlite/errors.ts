import { type ErrorCode, HipacheError } from '../../base/errors.ts';

/** Result codes of SQLite (sqlite.org/rescode.html) that an operator can act on. */
const busy = 5;
const locked = 6;
const noMemory = 7;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
const cannotOpen = 14;
const protocol = 15;
const notADatabase = 26;
/** SQLITE_IOERR_SHMSIZE: the shared memory beside the file could not grow. A read on a full disk fails with it. */
const sharedMemorySize = 4874;

/** The primary result code of an error of node:sqlite; null for any other error. */
function sqliteCode(error: unknown): number | null {
  const extended = extendedCode(error);
  return extended === null ? null : extended & 0xff;
}

/** Whether another connection held a lock, so that another attempt may succeed. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === busy || code === locked;
}

/** Whether the file is damaged, or no database. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === corrupt || code === notADatabase;
}

/**
 * Whether opening may succeed a moment later, because another process is creating the file, is moving it, or is the last to close it.
 * SQLite does not wait for all of these cases, whatever the busy time-out.
 */
export function isPassingAtOpen(error: unknown): boolean {
  // The file was moved away after it was found.
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
  const code = sqliteCode(error);
  return code === busy || code === locked || code === protocol || code === cannotOpen;
}

/** The error for operators that stands for one of SQLite or of the file system at `path`. */
export function storeError(error: unknown, path: string): HipacheError {
  if (error instanceof HipacheError) return error;
  const [code, message] = explain(error, path);
  return new HipacheError(code, message, { cause: error });
}

export function damaged(path: string, what: string, cause?: unknown): HipacheError {
  return new HipacheError(
    'STORE_DAMAGED',
    `${path} ${what}; nothing was changed in it. Move it away, then restore a backup or set the routes again`,
    { cause },
  );
}

function explain(error: unknown, path: string): [ErrorCode, string] {
  const text = error instanceof Error ? error.message : String(error);
  const extended = extendedCode(error);
  if (extended === sharedMemorySize) return ['STORE_FULL', fullMessage(path)];
  switch (sqliteCode(error)) {
    case busy:
    case locked:
      return [
        'STORE_BUSY',
        `${path}: another process held the write lock for too long; try again, and find out which process writes to it`,
      ];
    case readOnly:
      return [
        'STORE_READ_ONLY',
        `${path} cannot be written: make the file and its directory writable for this user (a write-ahead log is kept beside the file)`,
      ];
    case corrupt:
      return [
        'STORE_DAMAGED',
        `${path} is damaged (${text}); nothing was changed in it. Stop what writes to it and restore a backup, or save what can be saved with: sqlite3 ${path} .recover`,
      ];
    case notADatabase:
      return [
        'STORE_DAMAGED',
        `${path} is not a SQLite database, or is damaged in its first page; nothing was changed in it. Name another file, or restore a backup`,
      ];
    case full:
      return ['STORE_FULL', fullMessage(path)];
    case cannotOpen:
      return [
        'STORE_UNAVAILABLE',
        `${path} cannot be opened (${text}): check that the file and its directory exist and that this user may read them`,
      ];
    case inputOutput:
      return ['STORE_UNAVAILABLE', `${path}: reading or writing failed (${text}); check the disk and the kernel's log`];
    case noMemory:
      return ['STORE_UNAVAILABLE', `${path}: out of memory`];
    default:
      return fileSystemError(error, text, path);
  }
}

function fileSystemError(error: unknown, text: string, path: string): [ErrorCode, string] {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOSPC' || code === 'EDQUOT') return ['STORE_FULL', fullMessage(path)];
  if (code === 'EROFS') return ['STORE_READ_ONLY', `${path} cannot be created: its file system is read-only`];
  if (code === 'EACCES' || code === 'EPERM') {
    return [
      'STORE_UNAVAILABLE',
      `${path} cannot be opened or created: this user has no permission for the file or its directory`,
    ];
  }
  if (code === 'EISDIR') return ['STORE_UNAVAILABLE', `${path} is a directory; name a file in it`];
  if (code === 'ENOTDIR') return ['STORE_UNAVAILABLE', `${path}: a part of the path is not a directory`];
  return ['STORE_UNAVAILABLE', `${path}: ${text}`];
}

function fullMessage(path: string): string {
  return `${path}: the disk is full; the change was not made. Routes are still served; free space and try again`;
}

function extendedCode(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : null;
}
