import type { NoteCondition } from '../contract.ts';
import type { Prepare } from './schema.ts';

/*
 * The first note makes the table: an earlier version of Hipache has none, and passes over their changes. They count as
 * changes of a kind that nobody follows, so that a log with notes alone is recognised too; see write-ahead-log.ts.
 */
const schema = `CREATE TABLE IF NOT EXISTS notes (
  name TEXT PRIMARY KEY, text TEXT NOT NULL, until_ms INTEGER
) STRICT, WITHOUT ROWID`;

/** Null if there is none, or if it has ended. */
export function readNote(prepare: Prepare, name: string, nowMs: number): string | null {
  if (!exists(prepare)) return null;
  const row = prepare('SELECT text FROM notes WHERE name = ? AND coalesce(until_ms, ?) >= ?').get(name, nowMs, nowMs);
  return row === undefined ? null : String(row['text']);
}

/** Within a transaction. @returns whether the condition held, so that the note was written. */
export function writeNote(
  prepare: Prepare,
  name: string,
  text: string | null,
  { expected, ttlMs }: NoteCondition,
  nowMs: number,
): boolean {
  if (expected !== undefined && readNote(prepare, name, nowMs) !== expected) return false;
  if (text === null) {
    if (exists(prepare)) prepare('DELETE FROM notes WHERE name = ?').run(name);
  } else {
    prepare(schema).run();
    prepare('DELETE FROM notes WHERE until_ms < ?').run(nowMs);
    const untilMs = ttlMs === undefined ? null : Math.round(nowMs + ttlMs);
    prepare('INSERT OR REPLACE INTO notes VALUES (?, ?, ?)').run(name, text, untilMs);
  }
  prepare("INSERT INTO changes (pattern, kind) VALUES (?, 'note')").run(name);
  return true;
}

function exists(prepare: Prepare): boolean {
  return prepare("SELECT 1 FROM sqlite_schema WHERE name = 'notes'").get() !== undefined;
}
