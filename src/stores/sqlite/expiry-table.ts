import type { Prepare } from './schema.ts';

/*
 * The first route that expires makes the table: an earlier version of Hipache neither needs nor minds it. A record that is
 * removed, by any program, takes its expiry with it.
 */
const schema = [
  'CREATE TABLE IF NOT EXISTS expiries (pattern TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS expiries_at ON expiries (at_ms)',
  `CREATE TRIGGER IF NOT EXISTS expiries_frontends_delete AFTER DELETE ON frontends
    BEGIN DELETE FROM expiries WHERE pattern = OLD.pattern; END`,
];

/** When routes expire. */
export class ExpiryTable {
  private readonly prepare: Prepare;

  constructor(prepare: Prepare) {
    this.prepare = prepare;
  }

  /** Within a transaction. @param atMs null for a route that does not expire. */
  write(pattern: string, atMs: number | null): void {
    if (atMs === null) {
      if (this.exists()) this.prepare('DELETE FROM expiries WHERE pattern = ?').run(pattern);
      return;
    }
    if (!this.exists()) for (const sql of schema) this.prepare(sql).run();
    this.prepare('INSERT OR REPLACE INTO expiries VALUES (?, ?)').run(pattern, atMs);
  }

  /** When a route expires, in epoch ms; null: never. */
  read(pattern: string): number | null {
    if (!this.exists()) return null;
    const row = this.prepare('SELECT at_ms FROM expiries WHERE pattern = ?').get(pattern);
    return row === undefined ? null : Number(row['at_ms']);
  }

  /** When the first of all routes expires, in epoch ms. */
  next(): number {
    const row = this.exists() ? this.prepare('SELECT at_ms FROM expiries ORDER BY at_ms LIMIT 1').get() : undefined;
    return row === undefined ? Number.POSITIVE_INFINITY : Number(row['at_ms']);
  }

  /** The routes that have expired and not been removed yet. */
  ended(nowMs: number): string[] {
    if (!this.exists()) return [];
    return this.prepare('SELECT pattern FROM expiries WHERE at_ms <= ?')
      .all(nowMs)
      .map(({ pattern }) => String(pattern));
  }

  exists(): boolean {
    return this.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'expiries'").get() !== undefined;
  }
}
