import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type Mark, readPageMark } from './sequence-page.ts';

/** A mark in a committed transaction of a log. */
interface LogMark extends Mark {
  readonly page: number;
  /** The version of the schema after the transaction; null if it cannot be known. */
  readonly schema: number | null;
}

/** The committed transactions of a log. */
export interface LogContent {
  readonly transactions: number;
  /** In their order. */
  readonly marks: readonly LogMark[];
  /** The first pages that transactions have written, see `headOf`. */
  readonly heads: ReadonlySet<string>;
  /** Whether one transaction wrote every page, as VACUUM does: the log then makes a whole store of any file. */
  readonly isWhole: boolean;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
const magic = 0x37_7f_06_82;
/** Where the header of a database, in its first page, has these. */
const databasePagesAt = 28;
const schemaVersionAt = 40;
/** The page at this offset is never used: SQLite locks its bytes. */
const lockedAt = 0x40_00_00_00;

/** Opens the `-wal` of a database. Null if there is none, or if this user may not read it, which SQLite reports. */
export function openLog(database: string): number | null {
  try {
    const fd = openSync(`${database}-wal`, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch {
    // See above.
  }
  return null;
}

/** What tells first pages apart: the version of the schema, and the pages of the database. */
export function headOf(schema: number, pages: number): string {
  return `${schema} ${pages}`;
}

/**
 * The round of the log: SQLite overwrites a log that is in the file from its start, with other salts. Null if the log is
 * empty or missing.
 */
export function readLogRound(database: string): string | null {
  const log = openLog(database);
  if (log === null) return null;
  try {
    return readRound(log);
  } finally {
    closeSync(log);
  }
}

/** The same of an open log. */
export function readRound(log: number): string | null {
  return readHeader(log)?.salts.toString('hex') ?? null;
}

/** Reads the committed transactions of an open log (sqlite.org/fileformat2.html). */
export function readLogContent(log: number): LogContent {
  const marks: LogMark[] = [];
  const heads = new Set<string>();
  let transactions = 0;
  let isWhole = false;
  let schema: number | null = null;
  let pages = new Set<number>();
  let pending: (Mark & { readonly page: number })[] = [];
  let pageBytes = 0;
  for (const frame of frames(log)) {
    pages.add(frame.page);
    pageBytes = frame.content.length;
    if (frame.page === 1) {
      schema = frame.content.readUInt32BE(schemaVersionAt);
      heads.add(headOf(schema, frame.content.readUInt32BE(databasePagesAt)));
    }
    const mark = readPageMark(frame.content);
    if (mark !== null) pending.push({ ...mark, page: frame.page });
    if (frame.databasePages === 0) continue;
    transactions++;
    for (const mark of pending) marks.push({ ...mark, schema: schema ?? mark.turn?.schema ?? null });
    isWhole ||= pages.size >= frame.databasePages - (frame.databasePages * pageBytes > lockedAt ? 1 : 0);
    pages = new Set();
    pending = [];
  }
  return { transactions, marks, heads, isWhole };
}

interface Frame {
  readonly page: number;
  /** Of the last frame of a transaction: pages of the database after it; otherwise 0. */
  readonly databasePages: number;
  /** Valid until the next frame. */
  readonly content: Buffer;
}

function* frames(log: number): IterableIterator<Frame> {
  const header = readHeader(log);
  if (header === null) return;
  const { salts, pageBytes } = header;
  const frame = Buffer.alloc(frameHeaderBytes + pageBytes);
  const content = frame.subarray(frameHeaderBytes);
  for (let at = headerBytes; readSync(log, frame, 0, frame.length, at) === frame.length; at += frame.length) {
    // Frames of an earlier round follow those of this one.
    if (!frame.subarray(8, 16).equals(salts)) return;
    yield { page: frame.readUInt32BE(0), databasePages: frame.readUInt32BE(4), content };
  }
}

function readHeader(log: number): { readonly salts: Buffer; readonly pageBytes: number } | null {
  const header = Buffer.alloc(headerBytes);
  if (readSync(log, header, 0, headerBytes, 0) < headerBytes) return null;
  const pageBytes = header.readUInt32BE(8);
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== magic || pageBytes < 512 || pageBytes > 65_536) return null;
  return { salts: header.subarray(16, 24), pageBytes };
}
