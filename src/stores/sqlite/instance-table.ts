import type { StoredInstance } from '../contract.ts';
import { readFields } from '../key-value/records.ts';
import { isServedKind, type Prepare } from './schema.ts';

/*
 * The first instance creates the table: an earlier version of Hipache has none, and neither needs nor minds it. Each write
 * is counted as a change, of a kind that nobody follows; see write-ahead-log.ts.
 */
const schema = `CREATE TABLE IF NOT EXISTS instances (
  instance TEXT PRIMARY KEY, fields TEXT NOT NULL, until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID`;
const count = "INSERT INTO changes (pattern, kind) VALUES (?, 'instance')";

/** The instances that have not been forgotten. */
export function readInstances(prepare: Prepare, nowMs: number): StoredInstance[] {
  if (!hasTable(prepare)) return [];
  return prepare('SELECT instance, fields FROM instances WHERE until_ms > ?')
    .all(nowMs)
    .map(({ instance, fields }) => ({ instance: String(instance), fields: readFields(String(fields)) }));
}

/** Within a transaction. */
export function writeInstance(
  prepare: Prepare,
  instance: string,
  fields: string,
  untilMs: number,
  nowMs: number,
): void {
  prepare(schema).run();
  prepare('DELETE FROM instances WHERE until_ms <= ?').run(nowMs);
  prepare('INSERT OR REPLACE INTO instances VALUES (?, ?, ?)').run(instance, fields, Math.round(untilMs));
  prepare(count).run(instance);
}

/** Within a transaction. */
export function removeInstance(prepare: Prepare, instance: string): void {
  if (!hasTable(prepare)) return;
  prepare('DELETE FROM instances WHERE instance = ?').run(instance);
  prepare(count).run(instance);
}

/** Of the last change of a route or a certificate; 0 before the first. */
export function readRevision(prepare: Prepare): number {
  const row = prepare(`SELECT max(
    coalesce((SELECT revision FROM changes WHERE ${isServedKind} ORDER BY revision DESC LIMIT 1), 0),
    (SELECT value FROM meta WHERE key = 'trimmed_to')) AS revision`).get();
  return Number(row?.['revision'] ?? 0);
}

function hasTable(prepare: Prepare): boolean {
  return prepare("SELECT 1 FROM sqlite_schema WHERE name = 'instances'").get() !== undefined;
}
