import { addFailures, type BackendFailures, type FailuresByUrl, failuresKeptMs } from '../failures.ts';
import type { Prepare } from './schema.ts';

/** Series by backend URL, in the form in which threads exchange them. */
export type FailureRows = readonly (readonly [url: string, failures: BackendFailures])[];

/*
 * The first failure creates the table: an earlier version of Hipache has none, and neither needs nor minds it. Each
 * write is counted as a change, of a kind that nobody follows, so that a log with failures alone is recognised too; see
 * write-ahead-log.ts.
 */
const schema = [
  `CREATE TABLE IF NOT EXISTS failed (
    pattern TEXT NOT NULL, url TEXT NOT NULL, count INTEGER NOT NULL, first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, reason TEXT NOT NULL, instance TEXT NOT NULL, PRIMARY KEY (pattern, url)
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS failed_last ON failed (last_ms)',
];

/** The series of a route that have not ended. */
export function readFailures(prepare: Prepare, pattern: string, nowMs: number): FailureRows {
  if (prepare("SELECT 1 FROM sqlite_schema WHERE name = 'failed'").get() === undefined) return [];
  return prepare(
    'SELECT url, count, first_ms, last_ms, reason, instance FROM failed WHERE pattern = ? AND last_ms >= ?',
  )
    .all(pattern, nowMs - failuresKeptMs)
    .map((row): [string, BackendFailures] => [
      String(row['url']),
      {
        count: Number(row['count']),
        firstMs: Number(row['first_ms']),
        lastMs: Number(row['last_ms']),
        reason: String(row['reason']),
        instance: String(row['instance']),
      },
    ]);
}

/** Within a transaction. A pattern without a record keeps none. */
export function writeFailures(prepare: Prepare, pattern: string, added: FailuresByUrl, nowMs: number): void {
  if (prepare('SELECT 1 FROM frontends WHERE pattern = ?').get(pattern) === undefined) return;
  for (const statement of schema) prepare(statement).run();
  prepare('DELETE FROM failed WHERE last_ms < ?').run(nowMs - failuresKeptMs);
  const { written, forgotten } = addFailures(new Map(readFailures(prepare, pattern, nowMs)), added, nowMs);
  const forget = prepare('DELETE FROM failed WHERE pattern = ? AND url = ?');
  for (const url of forgotten) forget.run(pattern, url);
  const write = prepare('INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?, ?, ?, ?)');
  for (const [url, { count, firstMs, lastMs, reason, instance }] of written) {
    write.run(pattern, url, count, Math.round(firstMs), Math.round(lastMs), reason, instance);
  }
  prepare("INSERT INTO changes (pattern, kind) VALUES (?, 'failure')").run(pattern);
}
