import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { HipacheError } from '../../base/errors.ts';
import { SqliteChanges } from './changes.ts';
import { isBusy, isPassingAtOpen, storeError } from './errors.ts';
import { type FileState, readFileState, sizeOf } from './file-state.ts';
import { lookAtLog, openExisting, orphanedLogError, pause, refuseForeignLog, refuseRemovedLog } from './leftovers.ts';
import { readLogRound } from './log-content.ts';
import { identify, takeOver, writeMark } from './schema.ts';
import { SqliteTables } from './tables.ts';

/** How long opening waits for the lock of another process, in ms. Later the thread waits, which keeps reading. */
const openBusyMs = 5000;
/** How long opening keeps trying if SQLite itself does not wait, and the pause between attempts, in ms. */
const openRetryMs = 500;
const openPauseMs = 20;
/** How long a read waits for a lock, in ms. It meets one only while another process recovers or removes the log. */
const readBusyMs = 200;
/** A checkpoint cuts the write-ahead log back to this size. */
const logBytesMax = 64 * 1024 * 1024;

/** How often the log is written to the file before it is given up, and the pause while readers hold that up, in ms. */
const saveAttemptsMax = 50;
const savePauseMs = 10;

export interface SqliteOptions {
  /** Whether to create a missing file. */
  readonly create: boolean;
  /** Changes that the log keeps for watchers that fall behind. */
  readonly changesKept: number;
  /** Whether to wait for other processes that are opening or closing the file. */
  readonly patient: boolean;
}

/**
 * The synchronous connections to one database file: one to read, one to write records (every commit reaches the disk),
 * one to write marks (a power cut may lose them, a kill cannot). If the file or its directory cannot be written, the
 * file is opened read-only, and `unwritable` says why.
 *
 * A new file has mode 0600 and a new directory 0750: records hold private keys, and a reader has to write beside the
 * file anyway. To share a store with a group, give the file mode 0660 in a directory with the set-group-id bit.
 */
export class SqliteDatabase {
  readonly path: string;
  readonly changes: SqliteChanges;
  readonly unwritable: HipacheError | null;
  private readonly tables: SqliteTables;
  private readonly recordWriter: SqliteTables | null;
  private readonly markWriter: SqliteTables | null;
  private readonly connections: readonly DatabaseSync[];
  private readonly opened: FileState;
  private readonly immutable: boolean;
  /** The last content of the file that was found in order. */
  private checkedStamp: string;
  /** The last round of the log that has a mark; see write-ahead-log.ts. */
  private markedRound: string | null = null;
  private isOverwritten = false;

  /**
   * @throws HipacheError with source `store`. A damaged file, one of another program, or one whose `-wal` is not its own,
   * stays as it is.
   */
  constructor(path: string, options: SqliteOptions) {
    this.path = path;
    const opened = guard(path, () => open(path, options));
    this.unwritable = opened.unwritable;
    this.immutable = opened.immutable;
    this.connections = opened.connections;
    const [reader, records, marks] = opened.connections;
    if (reader === undefined) throw new Error('no connection');
    try {
      this.tables = new SqliteTables(reader);
      this.changes = new SqliteChanges(reader);
      this.recordWriter = records === undefined ? null : new SqliteTables(records, options.changesKept);
      this.markWriter = marks === undefined ? null : new SqliteTables(marks, options.changesKept);
      // Opening has found a mark in it, unless it is empty.
      this.noteMark();
      this.markLog();
      this.opened = readFileState(path);
      this.checkedStamp = this.opened.stamp;
    } catch (error) {
      this.close();
      throw storeError(error, path);
    }
  }

  /** The connection that reads. @throws HipacheError STORE_UNAVAILABLE if what it would read makes no sense any more. */
  get reader(): SqliteTables {
    if (this.isOverwritten) throw stateError(this.path, 'overwritten');
    if (!this.connections[0]?.isOpen) throw stateError(this.path, 'log removed');
    return this.tables;
  }

  /** The connection that writes. @throws HipacheError STORE_READ_ONLY; STORE_UNAVAILABLE unless the file is in place. */
  writer(kind: 'records' | 'marks'): SqliteTables {
    const writer = kind === 'records' ? this.recordWriter : this.markWriter;
    if (writer === null) throw this.unwritable ?? new Error('no writer');
    this.requireInPlace();
    return writer;
  }

  /** @throws HipacheError STORE_UNAVAILABLE: another process that opens the path would not see what is written here. */
  requireInPlace(): void {
    const place = this.place();
    if (place !== 'in place') throw stateError(this.path, place);
  }

  /** Compares what is at the path with what was opened there. A file opened as immutable must be unchanged as well. */
  place(): Place {
    const now = readFileState(this.path);
    if (now.file === null) return 'gone';
    if (now.file !== this.opened.file) return 'replaced';
    if (this.isOverwritten) return 'overwritten';
    if (this.immutable) return now.stamp === this.opened.stamp && now.log === this.opened.log ? 'in place' : 'replaced';
    if (!this.connections[0]?.isOpen || now.log !== this.opened.log || now.index !== this.opened.index) {
      return 'log removed';
    }
    return this.isContentOwn(now.stamp) ? 'in place' : 'overwritten';
  }

  /** A checkpoint changes the file; so does a copy over it, which does not fit the log. */
  private isContentOwn(stamp: string): boolean {
    if (stamp === this.checkedStamp) return true;
    const fit = lookAtLog(this.path);
    if (fit === 'fits') this.checkedStamp = stamp;
    if (fit === 'fits' || fit === 'unknown') return true;
    // The sqlite3 shell may have begun a round without a mark of this state. `markLog` is about to write one.
    const isNewRound = this.recordWriter !== null && readLogRound(this.path) !== this.markedRound;
    if (isNewRound && (fit === 'unmarked' || fit === 'diverged')) return true;
    if (this.recordWriter === null && fit === 'unmarked') return true;
    this.isOverwritten = true;
    return false;
  }

  /** A transaction of `writer` has put a mark into the log. */
  noteMark(): void {
    this.markedRound = readLogRound(this.path);
  }

  /**
   * Writes a mark to a log that is empty or has begun a new round since the last call, so that it does not fit another
   * file at the path.
   */
  markLog(): void {
    const [, , writer] = this.connections;
    if (writer === undefined) return;
    const round = readLogRound(this.path);
    if (round !== null && round === this.markedRound) return;
    try {
      writeMark(writer);
      this.noteMark();
    } catch (error) {
      // Another call follows.
      if (!isBusy(error)) throw error;
    }
  }

  /**
   * Moves the content of the log to the file, and closes. Every process whose log was removed does this: they still share the
   * old one. The next opening finds everything.
   */
  saveLog(): void {
    const [, writer] = this.connections;
    if (!this.connections[0]?.isOpen) return;
    try {
      for (let attempt = 0; writer !== undefined && attempt < saveAttemptsMax; attempt++) {
        const { busy, log, checkpointed } = writer.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() ?? {};
        if (busy === 0 && log === checkpointed) break;
        pause(savePauseMs);
      }
    } finally {
      this.close();
    }
  }

  /** Moves the content of the log to the file, as far as nobody is in the way. */
  checkpoint(): void {
    this.connections[1]?.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  close(): void {
    for (const connection of this.connections) if (connection.isOpen) connection.close();
  }
}

/** Where a database file is, compared with the one that was opened. */
export type Place = 'in place' | 'gone' | 'replaced' | 'log removed' | 'overwritten';

/** Says where the file is, and how to mend that. */
export function stateError(path: string, place: Exclude<Place, 'in place'>): HipacheError {
  return new HipacheError('STORE_UNAVAILABLE', `${path} ${stateMessages[place](path)}`);
}

const stateMessages: Readonly<Record<Exclude<Place, 'in place'>, (path: string) => string>> = {
  gone: (path) =>
    `was deleted or moved while it was open; what was read from it is still served. Put it back, with its ${path}-wal`,
  replaced: () => 'was replaced while it was open; what was read from the former file is still served',
  'log removed': (path) =>
    `lost its ${path}-wal or ${path}-shm while it was open; what they held is saved, and the file is opened again`,
  overwritten: (path) =>
    'was overwritten while it was open; known routes are still served. Stop every process that uses it, remove ' +
    `${path}-wal and ${path}-shm, copy the file again, and start`,
};

interface Opened {
  readonly connections: readonly DatabaseSync[];
  readonly unwritable: HipacheError | null;
  readonly immutable: boolean;
}

/** Keeps trying for a while if other processes are in the way. It may block, like everything in this thread. */
function open(path: string, options: SqliteOptions): Opened {
  const endMs = performance.now() + openRetryMs;
  for (;;) {
    try {
      return openOnce(path, options);
    } catch (error) {
      if (performance.now() >= endMs || !isPassingAtOpen(error)) throw error;
      pause(openPauseMs);
    }
  }
}

function openOnce(path: string, options: SqliteOptions): Opened {
  ensureFile(path, options.create);
  const unwritable = whyUnwritable(path);
  refuseForeignLog(path);
  if (unwritable !== null) return openReadOnly(path, unwritable);
  try {
    refuseRemovedLog(path, options.patient);
    return openWritable(path);
  } catch (error) {
    // The disk has no room even for the index of the log, but the file itself can be read.
    const full = storeError(error, path);
    if (full.code !== 'STORE_FULL') throw error;
    return openReadOnly(path, full);
  }
}

function openWritable(path: string): Opened {
  const connections: DatabaseSync[] = [];
  try {
    const reader = connect(path);
    connections.push(reader);
    takeOver(reader, path);
    reader.exec(`PRAGMA query_only = ON; PRAGMA busy_timeout = ${readBusyMs}`);
    const records = connect(path);
    connections.push(records);
    records.exec(`PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0; PRAGMA journal_size_limit = ${logBytesMax}`);
    const marks = connect(path);
    connections.push(marks);
    marks.exec(`PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 0; PRAGMA journal_size_limit = ${logBytesMax}`);
    return { connections, unwritable: null, immutable: false };
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  }
}

/**
 * Opens a file without the right to write it. SQLite can share an existing log. Without one, and without the right to
 * create one, the file is opened as immutable; `inPlace` notices if it changes all the same.
 */
function openReadOnly(path: string, unwritable: HipacheError): Opened {
  try {
    return {
      connections: [check(new DatabaseSync(path, { readOnly: true, timeout: readBusyMs }))],
      unwritable,
      immutable: false,
    };
  } catch (error) {
    // These errors concern access and space; any other one concerns the file itself.
    const code = storeError(error, path).code;
    if (
      (code !== 'STORE_UNAVAILABLE' && code !== 'STORE_READ_ONLY' && code !== 'STORE_FULL') ||
      sizeOf(`${path}-wal`) > 0
    )
      throw error;
  }
  const url = pathToFileURL(path);
  url.search = '?immutable=1';
  return { connections: [check(new DatabaseSync(url, { readOnly: true }))], unwritable, immutable: true };

  function check(connection: DatabaseSync): DatabaseSync {
    try {
      if (identify(connection, path) === 'empty') throw unwritable;
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }
}

function connect(path: string): DatabaseSync {
  const connection = openExisting(path, openBusyMs);
  connection.exec('PRAGMA trusted_schema = OFF');
  return connection;
}

/** Creates an empty file, which has its mode from the start. Never opens an existing one (see `FileState`). */
function ensureFile(path: string, create: boolean): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  if (sizeOf(`${path}-wal`) > 0) throw orphanedLogError(path);
  if (!create) {
    throw new HipacheError(
      'STORE_UNAVAILABLE',
      `${path} does not exist; setting a route or running a proxy creates it`,
    );
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

function whyUnwritable(path: string): HipacheError | null {
  const stat = statSync(path);
  if (stat.isDirectory()) throw new HipacheError('STORE_UNAVAILABLE', `${path} is a directory; name a file in it`);
  for (const [place, what] of [
    [path, 'the file'],
    [dirname(path), 'its directory'],
  ] as const) {
    try {
      accessSync(place, constants.W_OK);
    } catch (cause) {
      return new HipacheError(
        'STORE_READ_ONLY',
        `${path} cannot be written: ${what} is read-only for this user. Its routes are served but cannot be changed; ` +
          'make both writable (a write-ahead log is kept beside the file)',
        { cause },
      );
    }
  }
  return null;
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storeError(error, path);
  }
}
