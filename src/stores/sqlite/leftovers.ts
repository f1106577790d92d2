import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { HipacheError } from '../../base/errors.ts';
import { isBusy } from './errors.ts';
import { readFileState, sizeOf } from './file-state.ts';
import { compareWithLog, type LogFit } from './write-ahead-log.ts';

/** How often a file that changes at this moment is compared again, and the pause between two looks, in ms. */
const looksMax = 5;
const lookPauseMs = 20;
/** How often a log is looked at whose round changes while it is read: then it is in use. */
const movingLooksMax = 20;
/** How often a log without a mark is looked at: a proxy that uses the file marks it every 100 ms. */
const unmarkedLooksMax = 40;
/** How long other processes may take to open or close the file, in ms. */
const passingMs = 2000;

/**
 * Refuses a file whose `-wal` is not its own, before SQLite mixes the two. The log of a process that was killed is its
 * file's own.
 * @throws HipacheError STORE_UNAVAILABLE.
 */
export function refuseForeignLog(path: string): void {
  if (sizeOf(`${path}-wal`) === 0) return;
  const fit = lookAtLog(path, unmarkedLooksMax);
  if (fit === 'foreign' || fit === 'diverged') throw foreignLogError(path);
  if (fit === 'unmarked') throw unmarkedLogError(path);
}

/**
 * Whether the file and the log beside it fit together. Takes some pauses to find that they do not.
 * @param unmarkedLooks how often to look for a mark in a log without one.
 */
export function lookAtLog(path: string, unmarkedLooks = 1): LogFit {
  for (let look = 1, moving = 0; ; ) {
    const fit = compareWithLog(path);
    if (fit === 'fits' || fit === 'unknown') return fit;
    if (fit === 'moving') {
      if (++moving >= movingLooksMax) return 'unknown';
      continue;
    }
    if (look++ >= (fit === 'unmarked' ? unmarkedLooks : looksMax)) return fit;
    pause(lookPauseMs);
  }
}

/**
 * Refuses a file that other processes use with a `-wal` or `-shm` that is gone from the directory: they would not see what
 * is written to new ones.
 * @throws HipacheError STORE_UNAVAILABLE.
 */
export function refuseRemovedLog(path: string, patient: boolean): void {
  const endMs = performance.now() + (patient ? passingMs : 0);
  while (sizeOf(path) > 0 && lacksLog(path) && isInUse(path)) {
    // Another process is opening or closing the file, unless this lasts.
    if (performance.now() > endMs && lacksLog(path)) throw removedLogError(path);
    pause(lookPauseMs);
  }
}

export function orphanedLogError(path: string): HipacheError {
  return unavailable(
    path,
    `is gone, but ${path}-wal is there, with changes that are not in any copy of the file. Put the file back; or, ` +
      `to begin with an empty store, remove ${path}-wal and ${path}-shm`,
  );
}

function foreignLogError(path: string): HipacheError {
  return unavailable(
    path,
    `does not belong to ${path}-wal beside it, which another file has left or which is older; nothing was changed. To ` +
      `go on with the former file, put it back. To use this one, remove ${path}-wal and ${path}-shm; if it was copied ` +
      'over a file in use, first stop every process that uses it, and copy it again',
  );
}

function unmarkedLogError(path: string): HipacheError {
  return unavailable(
    path,
    `is beside a ${path}-wal that does not say which file it belongs to; nothing was changed. If another program, such ` +
      'as the sqlite3 shell, has just changed this very file, let it move the changes to the file: ' +
      `sqlite3 ${path} "PRAGMA wal_checkpoint(TRUNCATE)". If this file came from elsewhere, remove ${path}-wal and ` +
      `${path}-shm, or put the former file back`,
  );
}

export function emptyError(path: string): HipacheError {
  return unavailable(
    path,
    'was replaced by an empty store; the routes of the former file are still served until one is set in the new file. ' +
      'Put the former file back, or set the routes again',
  );
}

function removedLogError(path: string): HipacheError {
  return unavailable(
    path,
    `is in use by processes whose ${path}-wal or ${path}-shm was removed, and which would not see a change; nothing ` +
      'was changed. Hipache mends this within seconds; stop any other program that has the file open',
  );
}

function unavailable(path: string, problem: string): HipacheError {
  return new HipacheError('STORE_UNAVAILABLE', `${path} ${problem}`);
}

function lacksLog(path: string): boolean {
  const { log, index } = readFileState(path);
  return log === null || index === null;
}

/**
 * Opens a file that is there. A plain path would create another one if the file has just been moved away, and SQLite would
 * remove the log beside it.
 */
export function openExisting(path: string, timeoutMs: number): DatabaseSync {
  const url = pathToFileURL(path);
  url.search = '?mode=rw';
  return new DatabaseSync(url, { timeout: timeoutMs });
}

/** Whether any process has the file open: then nobody else can lock all of it. */
function isInUse(path: string): boolean {
  const database = openExisting(path, 0);
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; SELECT 1 FROM sqlite_schema LIMIT 1');
    return false;
  } catch (error) {
    return isBusy(error);
  } finally {
    database.close();
  }
}

/** Blocks, like everything in the thread of a store. */
export function pause(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}
