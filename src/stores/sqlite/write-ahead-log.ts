import { closeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isDamage } from './errors.ts';
import { headOf, type LogContent, openLog, readLogContent, readRound } from './log-content.ts';
import { type Mark, toMark } from './sequence-page.ts';

/*
 * SQLite trusts any `-wal` beside a database. It cannot tell that one belongs to another file, or to an earlier content
 * of this file: it then puts old pages over new ones. So every transaction of Hipache's rewrites the page of
 * `sqlite_sequence`, with a mark: the store's id, the count of changes before the transaction, a random number for the
 * transaction, and that of the transaction before. The mark in the file must be one of those in the log, or the one
 * before the first; then the file is a state that the log goes on from.
 *
 * VACUUM and VACUUM INTO put other content into the same pages, and keep the mark. They raise the version of the schema.
 */

/** The mark of a file. */
interface FileMark extends Mark {
  /** The page of `sqlite_sequence`; null if there is none. */
  readonly page: number | null;
  readonly schema: number;
  /** Pages of the database. */
  readonly pages: number;
  readonly hasTables: boolean;
}

/**
 * `fits` also stands for a log without transactions. `diverged`: the log of the same store, but not of this state.
 * `unmarked`: nothing in the log says which file it belongs to.
 * `unreadable`: the file is damaged, or is being written just now. `unknown`: it could not be read for another reason.
 * `moving`: another process has begun a new round of the log meanwhile.
 */
export type LogFit = 'fits' | 'foreign' | 'diverged' | 'unmarked' | 'unreadable' | 'unknown' | 'moving';

/** Compares a database file with the `-wal` beside it. Both may change meanwhile, so only a repeated bad result counts. */
export function compareWithLog(path: string): LogFit {
  const log = openLog(path);
  try {
    const round = log === null ? null : readRound(log);
    const fit = compare(path, log);
    // The file was read before the end of a round, and the log after it.
    return log !== null && readRound(log) !== round ? 'moving' : fit;
  } finally {
    if (log !== null) closeSync(log);
  }
}

function compare(path: string, log: number | null): LogFit {
  // The log is read after the file, which then has nothing that is not in it.
  const fitOf = (file: FileMark): LogFit => (log === null ? 'fits' : fit(file, readLogContent(log)));
  try {
    return fitOf(readFileMark(path));
  } catch (error) {
    if (!isDamage(error)) return 'unknown';
  }
  try {
    return fitOf(readFileMark(path, true)) === 'fits' ? 'fits' : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

function fit(file: FileMark, log: LogContent): LogFit {
  if (log.transactions === 0) return 'fits';
  if (!file.hasTables) return fitOfEmpty(log);
  if (file.id !== null) return fitOfStore(file, log);
  if (file.page === null) return log.marks.length === 0 ? 'fits' : 'foreign';
  // An earlier version wrote the file, or it is torn, and a log of all pages mends that.
  const marks = log.marks.filter(({ page }) => page === file.page);
  return log.isWhole || marks.length === 0 || isCountWithin(file, marks) ? 'fits' : 'foreign';
}

/** The log is that of a store whose creation was interrupted, or of another one. */
function fitOfEmpty({ marks }: LogContent): LogFit {
  const last = marks.at(-1);
  if (last === undefined) return 'unmarked';
  return last.count === 0 ? 'fits' : 'foreign';
}

function fitOfStore(file: FileMark, log: LogContent): LogFit {
  if (log.marks.length === 0) return 'unmarked';
  const own = log.marks.filter(({ id }) => id === file.id);
  if (own.length === 0) return 'foreign';
  // A log of all pages may have moved the one of the marks.
  const marks = log.isWhole ? own : own.filter(({ page }) => page === file.page);
  if (!isCountWithin(file, marks)) return 'diverged';
  return file.turn === null || isTurnIn(file, file.turn, marks, log) ? 'fits' : 'diverged';
}

function isCountWithin({ count }: FileMark, marks: readonly Mark[]): boolean {
  return marks.some(({ base }) => base <= count) && marks.some((mark) => mark.count >= count);
}

function isTurnIn(
  { schema, pages }: FileMark,
  { now }: { readonly now: number },
  marks: LogContent['marks'],
  { isWhole, heads }: LogContent,
): boolean {
  return marks.some((mark) => {
    const { turn } = mark;
    // Written by an earlier version alone.
    if (turn === null) return true;
    const isAfter = turn.now === now;
    if (!isAfter && turn.before !== now) return false;
    // A checkpoint that a kill ended may have brought the first page alone, in any version of the log's.
    return isWhole || schema === (isAfter ? mark.schema : turn.schema) || heads.has(headOf(schema, pages));
  });
}

/**
 * The mark of the file as it is on disk, without its log.
 * @param mayBeShort reads a file too that is shorter than its header says. A checkpoint that does not reach the end of the log
 *   may leave it so: it writes the header, and leaves out the last pages if the rest of the log has them again.
 * @throws errors of SQLite.
 */
function readFileMark(path: string, mayBeShort = false): FileMark {
  const url = pathToFileURL(path);
  // SQLite then neither locks the file nor looks at its log. To open it in another way would drop locks when it closes.
  url.search = '?immutable=1';
  const database = new DatabaseSync(url, { readOnly: true, defensive: !mayBeShort });
  try {
    // SQLite does not compare the sizes then.
    if (mayBeShort) database.exec('PRAGMA writable_schema = ON');
    const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() ?? {};
    const row = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_sequence'").get();
    const { rootpage = null } = row ?? {};
    const rows = rootpage === null ? [] : database.prepare('SELECT name, seq FROM sqlite_sequence').all();
    const { schema_version: schema } = database.prepare('PRAGMA schema_version').get() ?? {};
    const { page_count: pages } = database.prepare('PRAGMA page_count').get() ?? {};
    return {
      ...toMark(rows.map(({ name, seq }) => [String(name), Number(seq)])),
      page: rootpage === null ? null : Number(rootpage),
      schema: Number(schema),
      pages: Number(pages),
      hasTables: Number(tables) > 0,
    };
  } finally {
    database.close();
  }
}
