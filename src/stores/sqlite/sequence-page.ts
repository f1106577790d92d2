import { storeIdPrefix, turnPrefix } from './schema.ts';

/** The rows of `sqlite_sequence` that concern the store, in the file or in one version of their page in the log. */
export interface Mark {
  /** Null in a file of an earlier version of Hipache. */
  readonly id: string | null;
  /** Changes counted before the last transaction of Hipache's; less, if the sqlite3 shell wrote since then. */
  readonly base: number;
  /** Changes counted so far. */
  readonly count: number;
  /** Null in a file of an earlier version of Hipache. */
  readonly turn: Turn | null;
}

/** Names the last transaction of Hipache's at random, so that two histories of a store never agree by accident. */
interface Turn {
  readonly now: number;
  /** The transaction before it. */
  readonly before: number;
  /** The version of the schema (the pragma `schema_version`) when the transaction began. */
  readonly schema: number;
}

const leafTablePage = 0x0d;

/** Reads the mark of a page. Null if the page does not hold the `sqlite_sequence` of a store with an id, or is torn. */
export function readPageMark(page: Buffer): Mark | null {
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

/** The mark that rows of `sqlite_sequence` hold. */
export function toMark(rows: readonly (readonly [name: string, seq: number])[]): Mark {
  const own = rows.find(([name]) => name.startsWith(storeIdPrefix));
  const turn = rows.find(([name]) => name.startsWith(turnPrefix));
  const [, count = 0] = rows.find(([name]) => name === 'changes') ?? [];
  return { id: own?.[0] ?? null, base: own?.[1] ?? 0, count, turn: turn === undefined ? null : toTurn(...turn) };
}

function toTurn(name: string, now: number): Turn {
  const [before, schema] = name.slice(turnPrefix.length).split(':');
  return { now, before: Number(before), schema: Number(schema) };
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
