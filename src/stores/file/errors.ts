import { HipacheError } from '../../base/errors.ts';
import { type FileProblem, shownProblems } from './content.ts';

/** The routes file as a whole is wrong. */
export function badFile(path: string, problems: readonly FileProblem[]): HipacheError {
  return new HipacheError('STORE_DAMAGED', `${path} cannot be used: ${shownProblems(problems)}`);
}

/** Why a file cannot be read. */
export function unreadable(path: string, cause: unknown): HipacheError {
  return new HipacheError('STORE_UNAVAILABLE', `${path} cannot be read: ${reasonOf(cause)}`, { cause });
}

/** Why a routes file cannot be replaced. */
export function unwritable(path: string, cause: unknown): HipacheError {
  if (cause instanceof HipacheError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HipacheError('STORE_FULL', `${path}: the disk is full; the change was not made`, { cause });
  }
  return new HipacheError('STORE_READ_ONLY', `${path} cannot be changed: ${reasonOf(cause)}`, { cause });
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'it does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'this user has no permission for the file or its directory';
    case 'EISDIR':
      return 'it is a directory';
    case 'EROFS':
      return 'its file system is read-only';
    case 'EBUSY':
      return 'it is mounted by itself; mount its directory instead';
    default:
      return message;
  }
}
