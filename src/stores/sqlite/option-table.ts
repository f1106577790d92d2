import type { OptionOutcome, OptionRecord, OptionTexts } from '../contract.ts';
import { changeOptions } from '../option-record.ts';
import type { Prepare } from './schema.ts';

/** The options of a pattern, in the form in which threads exchange them. */
export type OptionRows = readonly (readonly [name: string, value: string])[];

/*
 * A new file has the table; in the file of an earlier version, which passes over its changes, the first option makes it. One
 * row an option, so that they are easily edited with the sqlite3 shell.
 */
export const optionSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS options (
    pattern TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (pattern, name)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TRIGGER IF NOT EXISTS options_insert AFTER INSERT ON options
    BEGIN INSERT INTO changes (pattern, kind) VALUES (NEW.pattern, 'option'); END`,
  `CREATE TRIGGER IF NOT EXISTS options_update AFTER UPDATE ON options BEGIN
    INSERT INTO changes (pattern, kind) VALUES (NEW.pattern, 'option');
    INSERT INTO changes (pattern, kind) SELECT OLD.pattern, 'option' WHERE OLD.pattern <> NEW.pattern;
  END`,
  `CREATE TRIGGER IF NOT EXISTS options_delete AFTER DELETE ON options
    BEGIN INSERT INTO changes (pattern, kind) VALUES (OLD.pattern, 'option'); END`,
];

/** The options of patterns. */
export class OptionTable {
  private readonly prepare: Prepare;

  constructor(prepare: Prepare) {
    this.prepare = prepare;
  }

  /** Null if the pattern has none. */
  read(pattern: string): OptionRows | null {
    if (!this.exists()) return null;
    const rows = this.prepare('SELECT name, value FROM options WHERE pattern = ? ORDER BY name').all(pattern);
    return rows.length === 0 ? null : rows.map(({ name, value }) => [String(name), String(value)]);
  }

  /** The options of up to `limit` patterns that follow `after`. */
  list(after: string, limit: number): { readonly pattern: string; readonly options: OptionRows }[] {
    if (!this.exists()) return [];
    const patterns = this.prepare('SELECT DISTINCT pattern FROM options WHERE pattern > ? ORDER BY pattern LIMIT ?');
    return patterns
      .all(after, limit)
      .map(({ pattern }) => ({ pattern: String(pattern), options: this.read(String(pattern)) ?? [] }));
  }

  /** Within a transaction. */
  change(pattern: string, changes: ReadonlyMap<string, string | null>): OptionOutcome {
    const outcome = changeOptions(new Map(this.read(pattern) ?? []), changes);
    this.replace(pattern, outcome);
    return outcome;
  }

  /** Within a transaction. */
  put({ pattern, options }: OptionRecord): void {
    this.replace(pattern, { before: new Map(this.read(pattern) ?? []), after: options });
  }

  private replace(pattern: string, { before, after }: OptionOutcome): void {
    if (after.size > 0 && !this.exists()) for (const sql of optionSchema) this.prepare(sql).run();
    for (const name of removedFrom(before, after)) {
      this.prepare('DELETE FROM options WHERE pattern = ? AND name = ?').run(pattern, name);
    }
    for (const [name, value] of after) {
      if (before.get(name) === value) continue;
      this.prepare(
        'INSERT INTO options VALUES (?, ?, ?) ON CONFLICT (pattern, name) DO UPDATE SET value = excluded.value',
      ).run(pattern, name, value);
    }
  }

  private exists(): boolean {
    return this.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'options'").get() !== undefined;
  }
}

function removedFrom(before: OptionTexts, after: OptionTexts): string[] {
  return [...before.keys()].filter((name) => !after.has(name));
}
