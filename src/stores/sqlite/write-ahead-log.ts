import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isDamage } from './errors.ts';
import { storeIdPrefix } from './schema.ts';

/*
 * SQLite trusts any `-wal` beside a database. It cannot tell that one belongs to another file, or to an earlier content
 * of this file: it then puts old pages over new ones. So the page of `sqlite_sequence`, which every change of a record
 * rewrites, also holds the store's id, and where the count of changes stood before the transaction. That page in the
 * file and its versions in the log show whether the two fit together (sqlite.org/fileformat2.html).
 */

/** The content of one version of that page. */
interface Mark {
  /** Null in a file of an earlier version of Hipache. */
  readonly id: string | null;
  /** Changes counted before the transaction that wrote this version; less, if the sqlite3 shell wrote it. */
  readonly base: number;
  /** Changes counted after it. */
  readonly count: number;
}

interface FileMark extends Mark {
  readonly rootPage: number;
}

/**
 * `fits` also stands for a log that says nothing. `unreadable`: the file is damaged, or is being written just now.
 * `unknown`: it could not be read for another reason.
 */
export type LogFit = 'fits' | 'foreign' | 'unreadable' | 'unknown';

const walHeaderBytes = 32;
const frameHeaderBytes = 24;
const walMagic = 0x37_7f_06_82;
const leafTablePage = 0x0d;

/** Compares a database file with the `-wal` beside it. Both may change meanwhile, so only a repeated bad result counts. */
export function compareWithLog(path: string): LogFit {
  const log = openLog(`${path}-wal`);
  try {
    let file: FileMark | null;
    try {
      file = readFileMark(path);
    } catch (error) {
      return isDamage(error) ? 'unreadable' : 'unknown';
    }
    return log === null || fits(file, log) ? 'fits' : 'foreign';
  } finally {
    if (log !== null) closeSync(log);
  }
}

function fits(file: FileMark | null, log: number): boolean {
  const marks = readLogMarks(log, file?.rootPage ?? null);
  const [first, last] = [marks[0], marks.at(-1)];
  if (first === undefined || last === undefined) return true;
  // Without tables in the file, the log is that of a store whose creation was interrupted, or of another one.
  if (file === null) return last.count === 0;
  if (file.id !== null && !marks.some(({ id }) => id === file.id)) return false;
  return file.count >= first.base && file.count <= Math.max(...marks.map(({ count }) => count));
}

/** The mark of the file as it is on disk, without its log; null if it has no tables. @throws errors of SQLite. */
function readFileMark(path: string): FileMark | null {
  const url = pathToFileURL(path);
  // SQLite then neither locks the file nor looks at its log. To open it in another way would drop locks when it closes.
  url.search = '?immutable=1';
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    const row = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_sequence'").get();
    if (row === undefined) return null;
    const rows = database.prepare('SELECT name, seq FROM sqlite_sequence').all();
    const { rootpage } = row;
    return { rootPage: Number(rootpage), ...toMark(rows.map(({ name, seq }) => [String(name), Number(seq)])) };
  } finally {
    database.close();
  }
}

function openLog(path: string): number | null {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch {
    // There is none, or this user may not read it; SQLite reports that.
  }
  return null;
}

/** The committed versions of a page in a log, in their order. @param rootPage null: of any page that can be read so. */
function readLogMarks(log: number, rootPage: number | null): Mark[] {
  const header = Buffer.alloc(walHeaderBytes);
  if (readSync(log, header, 0, walHeaderBytes, 0) < walHeaderBytes) return [];
  const pageBytes = header.readUInt32BE(8);
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== walMagic || pageBytes < 512 || pageBytes > 65_536) return [];
  const salts = header.subarray(16, 24);
  const frame = Buffer.alloc(frameHeaderBytes);
  const page = Buffer.alloc(pageBytes);
  const committed: Mark[] = [];
  let pending: Mark[] = [];
  for (let at = walHeaderBytes; readSync(log, frame, 0, frameHeaderBytes, at) === frameHeaderBytes; ) {
    // Frames of an earlier round follow those of this one.
    if (!frame.subarray(8, 16).equals(salts)) break;
    if (rootPage === null || frame.readUInt32BE(0) === rootPage) {
      if (readSync(log, page, 0, pageBytes, at + frameHeaderBytes) < pageBytes) break;
      const mark = readPageMark(page);
      if (mark !== null) pending.push(mark);
    }
    if (frame.readUInt32BE(4) > 0) {
      committed.push(...pending);
      pending = [];
    }
    at += frameHeaderBytes + pageBytes;
  }
  return committed;
}

/** Null if the page does not hold `sqlite_sequence`, or is torn. */
function readPageMark(page: Buffer): Mark | null {
  if (page[0] !== leafTablePage) return null;
  try {
    const cells = page.readUInt16BE(3);
    const rows: [string, number][] = [];
    for (let cell = 0; cell < cells; cell++) rows.push(readSequenceRow(page, page.readUInt16BE(8 + 2 * cell)));
    const mark = toMark(rows);
    return mark.id === null ? null : mark;
  } catch {
    return null;
  }
}

/** A cell `[name, seq]`. @throws RangeError if it is another one. */
function readSequenceRow(page: Buffer, at: number): [name: string, seq: number] {
  const [, rowId] = readVarint(page, at);
  const [, payload] = readVarint(page, rowId);
  const [headerBytes, nameType] = readVarint(page, payload);
  const [nameCode, seqType] = readVarint(page, nameType);
  const [seqCode] = readVarint(page, seqType);
  const seqBytes = [0, 1, 2, 3, 4, 6, 8, 0, 0, 0][seqCode];
  if (nameCode < 13 || nameCode % 2 === 0 || seqBytes === undefined)
    throw new RangeError('not a row of sqlite_sequence');
  const name = payload + headerBytes;
  const seq = name + (nameCode - 13) / 2;
  if (seqBytes > 6) throw new RangeError('a count beyond all bounds');
  const value = seqBytes === 0 ? Number(seqCode === 9) : page.readUIntBE(seq, seqBytes);
  return [page.toString('utf8', name, seq), value];
}

function readVarint(page: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = page.readUInt8(i);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, i + 1];
  }
  throw new RangeError('a number beyond all bounds');
}

function toMark(rows: readonly (readonly [name: string, seq: number])[]): Mark {
  const own = rows.find(([name]) => name.startsWith(storeIdPrefix));
  const [, count = 0] = rows.find(([name]) => name === 'changes') ?? [];
  return { id: own?.[0] ?? null, base: own?.[1] ?? 0, count };
}
