import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { HipacheError } from '../../base/errors.ts';
import { SqliteChanges } from './changes.ts';
import { isPassingAtOpen, storeError } from './errors.ts';
import { identify, initialise } from './schema.ts';
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

export interface SqliteOptions {
  /** Whether to create a missing file. */
  readonly create: boolean;
  /** Changes that the log keeps for watchers that fall behind. */
  readonly changesKept: number;
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
  readonly reader: SqliteTables;
  readonly changes: SqliteChanges;
  readonly unwritable: HipacheError | null;
  private readonly recordWriter: SqliteTables | null;
  private readonly markWriter: SqliteTables | null;
  private readonly connections: readonly DatabaseSync[];
  private readonly identity: string;
  private readonly immutable: boolean;

  /** @throws HipacheError with source `store`. A damaged file, or one of another program, stays as it is. */
  constructor(path: string, options: SqliteOptions) {
    this.path = path;
    const opened = guard(path, () => open(path, options));
    this.unwritable = opened.unwritable;
    this.immutable = opened.immutable;
    this.connections = opened.connections;
    const [reader, records, marks] = opened.connections;
    if (reader === undefined) throw new Error('no connection');
    this.identity = fileIdentity(path, this.immutable);
    try {
      this.reader = new SqliteTables(reader);
      this.changes = new SqliteChanges(reader);
      this.recordWriter = records === undefined ? null : new SqliteTables(records, options.changesKept);
      this.markWriter = marks === undefined ? null : new SqliteTables(marks, options.changesKept);
    } catch (error) {
      this.close();
      throw storeError(error, path);
    }
  }

  /** The connection that writes. @throws HipacheError STORE_READ_ONLY; STORE_UNAVAILABLE if the file is gone. */
  writer(kind: 'records' | 'marks'): SqliteTables {
    const writer = kind === 'records' ? this.recordWriter : this.markWriter;
    if (writer === null) throw this.unwritable ?? new Error('no writer');
    if (!this.inPlace()) throw this.movedError();
    return writer;
  }

  /** Whether the path still names the file that was opened. A file opened as immutable must be unchanged as well. */
  inPlace(): boolean {
    try {
      return fileIdentity(this.path, this.immutable) === this.identity;
    } catch {
      return false;
    }
  }

  movedError(): HipacheError {
    return new HipacheError(
      'STORE_UNAVAILABLE',
      `${this.path} was deleted or replaced while it was open; what was read from it is still served. ` +
        'Put the file back (with its -wal, if it has one)',
    );
  }

  close(): void {
    for (const connection of this.connections) if (connection.isOpen) connection.close();
  }
}

interface Opened {
  readonly connections: readonly DatabaseSync[];
  readonly unwritable: HipacheError | null;
  readonly immutable: boolean;
}

function open(path: string, options: SqliteOptions): Opened {
  ensureFile(path, options.create);
  const unwritable = whyUnwritable(path);
  if (unwritable !== null) return openReadOnly(path, unwritable);
  try {
    return openWhenFree(path);
  } catch (error) {
    // The disk has no room even for the index of the log, but the file itself can be read.
    const full = storeError(error, path);
    if (full.code !== 'STORE_FULL') throw error;
    return openReadOnly(path, full);
  }
}

/** Keeps trying for a while if other processes are in the way. It may block, like everything in this thread. */
function openWhenFree(path: string): Opened {
  for (let waitedMs = 0; ; waitedMs += openPauseMs) {
    try {
      return openWritable(path);
    } catch (error) {
      if (waitedMs >= openRetryMs || !isPassingAtOpen(error)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, openPauseMs);
    }
  }
}

function openWritable(path: string): Opened {
  const connections: DatabaseSync[] = [];
  try {
    const reader = connect(path);
    connections.push(reader);
    if (identify(reader, path) !== 'ours') initialise(reader, path);
    else reader.exec('PRAGMA journal_mode = WAL');
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
  const connection = new DatabaseSync(path, { timeout: openBusyMs });
  connection.exec('PRAGMA trusted_schema = OFF');
  return connection;
}

/** Creates an empty file, which has its mode from the start. Never opens an existing one (see `fileIdentity`). */
function ensureFile(path: string, create: boolean): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
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

/** Uses stat alone: closing any descriptor of the file would drop the locks that SQLite holds in this process. */
function fileIdentity(path: string, withContent: boolean): string {
  const stat = statSync(path, { bigint: true });
  const file = `${stat.dev}:${stat.ino}`;
  return withContent ? `${file}:${stat.size}:${stat.mtimeNs}:${sizeOf(`${path}-wal`)}` : file;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storeError(error, path);
  }
}
