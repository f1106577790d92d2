import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HipacheError } from '../../base/errors.ts';
import { damaged } from './errors.ts';
import { optionSchema } from './option-table.ts';

/** `HPCH`: marks the file as a store of Hipache's (the pragma `application_id`). */
export const applicationId = 0x48_50_43_48;
/** The version of the tables below (the pragma `user_version`). Every change that an older version cannot read raises it. */
const schemaVersion = 2;

/*
 * `record` is Hipache's record as a JSON array. Triggers log the changes, so that a route edited with the sqlite3 shell
 * is live at once as well. Removing an ended mark changes nothing and is not logged.
 */
const schema = `
  CREATE TABLE frontends (pattern TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE down (
    pattern TEXT NOT NULL, url TEXT NOT NULL, until_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL,
    reason TEXT NOT NULL, instance TEXT NOT NULL, PRIMARY KEY (pattern, url)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX down_until ON down (until_ms);
  CREATE TABLE changes (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, pattern TEXT NOT NULL,
    at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ) STRICT;
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('trimmed_to', 0);
  CREATE TRIGGER frontends_insert AFTER INSERT ON frontends
    BEGIN INSERT INTO changes (pattern) VALUES (NEW.pattern); END;
  CREATE TRIGGER frontends_update AFTER UPDATE ON frontends BEGIN
    INSERT INTO changes (pattern) VALUES (NEW.pattern);
    INSERT INTO changes (pattern) SELECT OLD.pattern WHERE OLD.pattern <> NEW.pattern;
  END;
  CREATE TRIGGER frontends_delete AFTER DELETE ON frontends
    BEGIN INSERT INTO changes (pattern) VALUES (OLD.pattern); END;
  CREATE TRIGGER down_insert AFTER INSERT ON down
    BEGIN INSERT INTO changes (pattern) VALUES (NEW.pattern); END;
  CREATE TRIGGER down_update AFTER UPDATE ON down
    BEGIN INSERT INTO changes (pattern) VALUES (NEW.pattern); END;
  CREATE TRIGGER down_delete AFTER DELETE ON down WHEN OLD.until_ms > unixepoch('subsec') * 1000
    BEGIN INSERT INTO changes (pattern) VALUES (OLD.pattern); END;
`;

/** The additions of version 2; a new file gets them as well. */
const certificateSchema = `
  CREATE TABLE certificates (
    pattern TEXT PRIMARY KEY, certificate TEXT NOT NULL, key TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE changes ADD COLUMN kind TEXT NOT NULL DEFAULT 'route';
  CREATE TRIGGER certificates_insert AFTER INSERT ON certificates
    BEGIN INSERT INTO changes (pattern, kind) VALUES (NEW.pattern, 'certificate'); END;
  CREATE TRIGGER certificates_update AFTER UPDATE ON certificates BEGIN
    INSERT INTO changes (pattern, kind) VALUES (NEW.pattern, 'certificate');
    INSERT INTO changes (pattern, kind) SELECT OLD.pattern, 'certificate' WHERE OLD.pattern <> NEW.pattern;
  END;
  CREATE TRIGGER certificates_delete AFTER DELETE ON certificates
    BEGIN INSERT INTO changes (pattern, kind) VALUES (OLD.pattern, 'certificate'); END;
`;

/** The name in `sqlite_sequence` of the row that identifies the store; see write-ahead-log.ts. */
export const storeIdPrefix = 'hipache-store:';
/** The name there of the row of the last transaction, before its predecessor and the version of the schema. */
export const turnPrefix = 'hipache-turn:';

/** A random number of 47 bits changes the page even if nothing else does: SQLite does not write a page that stays as it is. */
const nextTurn = `UPDATE sqlite_sequence SET seq = random() & 0x7fffffffffff,
  name = '${turnPrefix}' || seq || ':' || (SELECT schema_version FROM pragma_schema_version)
  WHERE name GLOB '${turnPrefix}*'`;
const noteCount = `UPDATE sqlite_sequence
  SET seq = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0) WHERE name GLOB '${storeIdPrefix}*'`;

/** Of the log of changes, the records that are served from. Instances and failures of backends do not count. */
export const isServedKind = "kind IN ('route', 'option', 'certificate')";

/** Prepares a statement, or finds the one that was prepared before. */
export type Prepare = (sql: string) => StatementSync;

/** Marks the transaction that has just begun as one of this store; see write-ahead-log.ts. */
export function markTransaction(prepare: Prepare): void {
  if (Number(prepare(nextTurn).run().changes) === 0) {
    prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, 0)').run(`${turnPrefix}0:0`);
    prepare(nextTurn).run();
  }
  if (Number(prepare(noteCount).run().changes) > 0) return;
  prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, 0)').run(`${storeIdPrefix}${randomUUID()}`);
  prepare(noteCount).run();
}

/** Writes a mark alone, so that the log has one. */
export function writeMark(database: DatabaseSync): void {
  inTransaction(database, () => markTransaction((sql) => database.prepare(sql)));
}

/** A file with an id that has no log is a copy, as VACUUM INTO makes them: from here on its history is another one. */
function renewId(database: DatabaseSync): void {
  inTransaction(database, () => {
    database.prepare(`DELETE FROM sqlite_sequence WHERE name GLOB '${storeIdPrefix}*'`).run();
    markTransaction((sql) => database.prepare(sql));
  });
}

/** Whether the database has the table of certificates. A file of version 1 that cannot be written has none. */
export function hasCertificates(database: DatabaseSync): boolean {
  return readNumber(database, 'PRAGMA user_version') >= 2;
}

/**
 * Finds out whose database this is, and changes nothing. `ours`: of this version of Hipache; `older`: of an earlier one;
 * `empty`: free to use.
 * @throws HipacheError STORE_DAMAGED if it belongs to another program, STORE_NEWER if to a later version; errors of
 *   SQLite.
 */
export function identify(database: DatabaseSync, path: string): 'ours' | 'older' | 'empty' {
  const { id, version, tables } = readHeader(database);
  if (id === applicationId) {
    if (version > schemaVersion) {
      throw new HipacheError(
        'STORE_NEWER',
        `${path} was written by a newer version of Hipache (its format is ${version}, this version knows up to ` +
          `${schemaVersion}); nothing was changed in it. Upgrade, or name another file`,
      );
    }
    return version < schemaVersion ? 'older' : 'ours';
  }
  if (id === 0 && version === 0 && tables === 0) return 'empty';
  throw damaged(path, 'is a SQLite database of another program');
}

/**
 * Makes the database one of this version that keeps a log: creates the tables in an empty one, upgrades an older one, each
 * in one transaction. Several processes may try at once.
 * @throws HipacheError as `identify`; errors of SQLite.
 */
export function takeOver(database: DatabaseSync, path: string): void {
  const found = identify(database, path);
  const hasLog = Object.values(database.prepare('PRAGMA journal_mode').get() ?? {})[0] === 'wal';
  if (found !== 'empty' && !hasLog) renewId(database);
  database.exec('PRAGMA journal_mode = WAL');
  if (found === 'ours' && hasMark(database)) return;
  inTransaction(database, () => upgrade(database, path));
  // From now on the file itself says which log is its own.
  database.exec('PRAGMA wal_checkpoint(PASSIVE)');
}

function upgrade(database: DatabaseSync, path: string): void {
  const found = identify(database, path);
  if (found === 'empty') database.exec(`${schema}; PRAGMA application_id = ${applicationId}`);
  markTransaction((sql) => database.prepare(sql));
  if (found !== 'ours') database.exec(`${certificateSchema}; PRAGMA user_version = ${schemaVersion}`);
  if (found === 'empty') for (const sql of optionSchema) database.exec(sql);
}

function hasMark(database: DatabaseSync): boolean {
  return [storeIdPrefix, turnPrefix].every(
    (prefix) => database.prepare(`SELECT 1 FROM sqlite_sequence WHERE name GLOB '${prefix}*'`).get() !== undefined,
  );
}

function inTransaction(database: DatabaseSync, action: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    action();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Reads from one snapshot: another process may be creating the tables at this moment. */
function readHeader(database: DatabaseSync): { id: number; version: number; tables: number } {
  const own = !database.isTransaction;
  if (own) database.exec('BEGIN');
  try {
    return {
      id: readNumber(database, 'PRAGMA application_id'),
      version: readNumber(database, 'PRAGMA user_version'),
      tables: readNumber(database, 'SELECT count(*) FROM sqlite_schema'),
    };
  } finally {
    if (own && database.isTransaction) database.exec('COMMIT');
  }
}

function readNumber(database: DatabaseSync, sql: string): number {
  const [value] = Object.values(database.prepare(sql).get() ?? {});
  return Number(value);
}
