import { existsSync } from 'node:fs';
import type { Log } from '../../base/log.ts';
import type { KeyValueClient, KeyValueEdit, RecordKey } from '../key-value/client.ts';
import { MarksDatabase } from './marks-database.ts';
import { codeOf, isBusyCode } from './sqlite-codes.ts';

/** The dead marks, failures and notes beside a routes file: those of the machine, or of this process if there is no place. */
export class FileMarks implements Pick<KeyValueClient, 'read' | 'run'> {
  private readonly path: string | null;
  private readonly log: Pick<Log, 'warn'>;
  private database: MarksDatabase | null = null;
  private isClosed = false;

  constructor(path: string | null, log: Pick<Log, 'warn'>) {
    this.path = path;
    this.log = log;
  }

  /** Null for a key that does not exist. Routes are served without marks rather than not at all. */
  async read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]> {
    const database = this.existing();
    if (database === null) return keys.map(() => null);
    try {
      return await database.read(keys);
    } catch (error) {
      this.abandon(error);
      return keys.map(() => null);
    }
  }

  async run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    try {
      return await this.opened().run(edit);
    } catch (error) {
      this.abandon(error);
      throw error;
    }
  }

  /** Runs an edit that only removes, if there is anything. */
  async runIfAny(edit: KeyValueEdit<void>): Promise<void> {
    if (this.existing() !== null) await this.run(edit);
  }

  /** The keys that any process has written since the last call. Opens the marks. */
  changes(): readonly RecordKey[] {
    try {
      return this.opened().changes();
    } catch (error) {
      this.abandon(error);
      return [];
    }
  }

  close(): void {
    this.isClosed = true;
    this.database?.close();
  }

  private existing(): MarksDatabase | null {
    if (this.database !== null) return this.database;
    return this.path !== null && existsSync(this.path) ? this.opened() : null;
  }

  private opened(): MarksDatabase {
    this.database ??= this.open();
    if (this.isClosed) this.database.close();
    return this.database;
  }

  private open(): MarksDatabase {
    const { path } = this;
    try {
      if (path !== null) return new MarksDatabase(path);
      this.log.warn('no directory for dead marks is known, so each process has its own; set STATE_DIRECTORY');
    } catch (error) {
      this.warn(error);
    }
    return new MarksDatabase(':memory:');
  }

  /** The file is damaged, or its disk is full or gone. */
  private abandon(error: unknown): void {
    const code = codeOf(error);
    if (code === null || isBusyCode(code) || this.isClosed) return;
    this.database?.close();
    this.warn(error);
    this.database = new MarksDatabase(':memory:');
  }

  private warn(error: unknown): void {
    this.log.warn(`${this.path} cannot be used, so each process has its own dead marks`, { error });
  }
}
