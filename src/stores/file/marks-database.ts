import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../../base/errors.ts';
import type { KeyValueClient, KeyValueEdit, RecordKey } from '../key-value/client.ts';
import { codeOf, isBusyCode } from './sqlite-codes.ts';

/** How long an edit waits for those of other processes, in ms. */
const waitMs = 5000;
const betweenMs = 2;
/** How long a removed record is kept, so that others learn of it, in ms. */
const removedMs = 60_000;
const forever = Number.MAX_SAFE_INTEGER;

/**
 * Dead marks, failures and notes of the processes of one machine, as JSON by key, in a SQLite file. They are worth little
 * after a power failure, so nothing waits for the disk.
 */
export class MarksDatabase implements Pick<KeyValueClient, 'read' | 'run'> {
  private readonly connection: DatabaseSync;
  private readonly selectValue: StatementSync;
  /** Of the last edit, which stands in a row of its own. */
  private readonly selectVersion: StatementSync;
  private readonly selectChanged: StatementSync;
  private readonly write: StatementSync;
  private readonly forget: StatementSync;
  private seen: number;

  /**
   * @param path `:memory:` for marks of this process alone.
   * @throws the error of SQLite or of the file system.
   */
  constructor(path: string) {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    this.connection = new DatabaseSync(path, { timeout: 1000 });
    try {
      this.connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
      this.connection.exec(
        'CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value TEXT, until REAL NOT NULL, change INTEGER NOT NULL)',
      );
      this.connection.exec('CREATE INDEX IF NOT EXISTS changes ON records (change)');
      this.selectValue = this.connection.prepare('SELECT value FROM records WHERE key = ? AND until > ?');
      this.selectVersion = this.connection.prepare("SELECT change FROM records WHERE key = ''");
      this.selectChanged = this.connection.prepare("SELECT key FROM records WHERE change > ? AND key <> ''");
      this.write = this.connection.prepare('INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)');
      this.forget = this.connection.prepare('DELETE FROM records WHERE until < ?');
      this.connection.exec('PRAGMA busy_timeout = 0');
      this.seen = this.version();
    } catch (error) {
      this.connection.close();
      throw error;
    }
  }

  read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]> {
    return this.whenFree(() => keys.map((key) => this.value(key)));
  }

  run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    return this.whenFree(() => {
      this.connection.exec('BEGIN IMMEDIATE');
      try {
        const result = this.apply(edit);
        this.connection.exec('COMMIT');
        return result;
      } catch (error) {
        this.connection.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** The keys that any process has written since the last call. */
  changes(): readonly RecordKey[] {
    const version = this.version();
    if (version === this.seen) return [];
    const rows = this.selectChanged.all(this.seen) as { key: RecordKey }[];
    this.seen = version;
    return rows.map(({ key }) => key);
  }

  close(): void {
    if (this.connection.isOpen) this.connection.close();
  }

  private apply<Result>({ keys, decide }: KeyValueEdit<Result>): Result {
    const { writes, result } = decide(keys.map((key) => this.value(key)));
    if (writes.length === 0) return result;
    const nowMs = Date.now();
    const change = this.version() + 1;
    this.forget.run(nowMs);
    for (const { key, value, ttlMs } of writes) {
      const lastsMs = value === null ? removedMs : (ttlMs ?? forever);
      this.write.run(key, value, nowMs + lastsMs, change);
    }
    this.write.run('', null, forever, change);
    return result;
  }

  private value(key: RecordKey): string | null {
    const row = this.selectValue.get(key, Date.now()) as { value: string | null } | undefined;
    return row?.value ?? null;
  }

  private version(): number {
    return (this.selectVersion.get() as { change: number } | undefined)?.change ?? 0;
  }

  private async whenFree<Result>(action: () => Result): Promise<Result> {
    const deadlineMs = performance.now() + waitMs;
    for (;;) {
      if (!this.connection.isOpen) throw new HipacheError('STORE_UNAVAILABLE', 'the store was closed');
      try {
        return action();
      } catch (error) {
        if (!isBusyCode(codeOf(error))) throw error;
        if (performance.now() > deadlineMs) {
          throw new HipacheError('STORE_BUSY', 'another process has locked the dead marks', { cause: error });
        }
      }
      await delay(betweenMs);
    }
  }
}
