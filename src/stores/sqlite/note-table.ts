import type { DueNote, NoteCondition } from '../contract.ts';
import type { Prepare } from './schema.ts';

/*
 * The first note makes the table: an earlier version of Hipache has none, and passes over their changes. They count as
 * changes of a kind that nobody follows, so that a log with notes alone is recognised too; see write-ahead-log.ts.
 */
const schema = `CREATE TABLE IF NOT EXISTS notes (
  name TEXT PRIMARY KEY, text TEXT NOT NULL, until_ms INTEGER
) STRICT, WITHOUT ROWID`;

/** When notes are due. A table of its own, since earlier versions know the notes without it. */
const dueSchema = [
  'CREATE TABLE IF NOT EXISTS notes_due (name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS notes_due_by_time ON notes_due (due_ms)',
];

/** Null if there is none, or if it has ended. */
export function readNote(prepare: Prepare, name: string, nowMs: number): string | null {
  if (!exists(prepare, 'notes')) return null;
  const row = prepare('SELECT text FROM notes WHERE name = ? AND coalesce(until_ms, ?) >= ?').get(name, nowMs, nowMs);
  return row === undefined ? null : String(row['text']);
}

/** Within a transaction. @returns whether the condition held, so that the note was written. */
export function writeNote(
  prepare: Prepare,
  name: string,
  text: string | null,
  { dueMs, expected, ttlMs }: NoteCondition,
  nowMs: number,
): boolean {
  if (expected !== undefined && readNote(prepare, name, nowMs) !== expected) return false;
  if (text === null) {
    if (exists(prepare, 'notes')) prepare('DELETE FROM notes WHERE name = ?').run(name);
    if (exists(prepare, 'notes_due')) prepare('DELETE FROM notes_due WHERE name = ?').run(name);
  } else {
    prepare(schema).run();
    prepare('DELETE FROM notes WHERE until_ms < ?').run(nowMs);
    const untilMs = ttlMs === undefined ? null : Math.round(nowMs + ttlMs);
    prepare('INSERT OR REPLACE INTO notes VALUES (?, ?, ?)').run(name, text, untilMs);
    if (dueMs !== undefined) {
      for (const statement of dueSchema) prepare(statement).run();
      prepare('INSERT OR REPLACE INTO notes_due VALUES (?, ?)').run(name, Math.round(dueMs));
    }
  }
  prepare("INSERT INTO changes (pattern, kind) VALUES (?, 'note')").run(name);
  return true;
}

/** See `NoteCollection.due`. */
export function readDueNotes(prepare: Prepare, atMs: number, limit: number): DueNote[] {
  if (!exists(prepare, 'notes_due')) return [];
  return prepare('SELECT name, text FROM notes_due JOIN notes USING (name) WHERE due_ms <= ? ORDER BY due_ms LIMIT ?')
    .all(Math.round(atMs), limit)
    .map(({ name, text }) => ({ name: String(name), text: String(text) }));
}

function exists(prepare: Prepare, table: string): boolean {
  return prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table) !== undefined;
}
