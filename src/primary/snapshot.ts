import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import type { Config } from '../config/config.ts';
import type { RecordText } from '../processes/messages.ts';
import type { KeptRecords } from '../processes/shared-records.ts';
import type { KnownRecords } from '../route-cache/known-records.ts';
import { describeDriver } from '../stores/open-store.ts';
import type { GuardedRecords } from './wipe-guard.ts';

/** Between a change and its writing, in ms, the changes that are written at once, and the pause if more wait, in ms. */
const writeAfterMs = 1000;
const changesPerWrite = 2000;
const pauseWithinMs = 50;
/** The pause after a write that has failed, as on a full disk, in ms. */
const pauseAfterFailureMs = 60_000;
/**
 * Records in the file, and memory for those that are known, in bytes: so many, and more with a larger cache of routes. Beyond
 * them, those that were read longest ago go.
 */
const recordsMin = 500_000;
const knownBytesMin = 64 * 1024 * 1024;
const bytesPerRoute = 200;
/** Records that are read from the file at once. */
const pageSize = 5000;
/** `HPSN`: marks the file as a snapshot (the pragma `application_id`). */
const applicationId = 0x48_50_53_4e;

/** The records of `KnownRecords` that a file keeps up with. */
type KnownPart = Pick<KnownRecords, keyof KeptRecords | keyof GuardedRecords | 'get' | 'restore' | 'bytesMax'>;

/** The file of a configuration's snapshot; null without one. Each store has its own. */
export function snapshotPath({ driver, server }: Config): string | null {
  const { name, shared } = describeDriver(driver);
  if (server.snapshotDirectory === null || !shared) return null;
  const id = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return join(server.snapshotDirectory, `snapshot-${id}.sqlite`);
}

/**
 * A file with the records that the workers have read, so that a program that starts while the store is away serves what
 * the former one served. It is written behind, and only as good as the last second: a write that is lost costs a reading.
 * It has private keys, and belongs to the user of this process alone.
 */
export class Snapshot implements KeptRecords, GuardedRecords {
  private readonly known: KnownPart;
  private readonly log: Pick<Log, 'info' | 'warn'>;
  private readonly problems: RateLimitedLog;
  private database: DatabaseSync | null = null;
  private path: string | null = null;
  /** Keys of records that have changed since they were written. */
  private readonly changed = new Set<string>();
  private recordsMax = recordsMin;
  private timer: NodeJS.Timeout | null = null;
  /** Monotonic ms since when the file lacks something; null while it lacks nothing. */
  private behindSinceMs: number | null = null;

  constructor(known: KnownPart, log: Pick<Log, 'info' | 'warn'>) {
    this.known = known;
    this.log = log;
    this.problems = new RateLimitedLog((what, fields) => log.warn(what, fields), systemClock);
  }

  /** Whether the next program finds the records. */
  get isKept(): boolean {
    return this.database !== null;
  }

  get bytes(): number {
    return this.known.bytes;
  }

  /** How long the file has been behind, in seconds: hardly more than a second unless it cannot be written. */
  get unwrittenSeconds(): number {
    return this.behindSinceMs === null ? 0 : (systemClock.monotonicMs() - this.behindSinceMs) / 1000;
  }

  /** Uses the file of this configuration from now on, and knows what is in it. Problems are logged: nothing depends on it. */
  follow(config: Config): void {
    const { cacheEntriesMax } = config.limits;
    this.recordsMax = Math.max(recordsMin, cacheEntriesMax);
    this.known.bytesMax = Math.max(knownBytesMin, cacheEntriesMax * bytesPerRoute);
    const path = snapshotPath(config);
    if (path === this.path) return;
    this.close();
    this.path = path;
    if (path === null) return;
    try {
      this.database = open(path);
      this.load(this.database);
    } catch (error) {
      this.behindSinceMs = systemClock.monotonicMs();
      this.problems.report('the snapshot cannot be used', { path, error: error as Error });
    }
  }

  add(records: readonly RecordText[], holder: number): void {
    // A store may report changes of any record. Those that nobody has read are not in the file.
    const isKnown = ([key]: RecordText): boolean => this.known.get(key) !== undefined;
    const before = new Set(records.filter(isKnown).map(([key]) => key));
    this.known.add(records, holder);
    this.noteChanged(records.filter((record) => before.has(record[0]) || isKnown(record)).map(([key]) => key));
  }

  abandon(holder: number): void {
    this.known.abandon(holder);
  }

  assign(count: number, holder: number): readonly string[] {
    return this.known.assign(count, holder);
  }

  sampleRoutes(count: number, random: () => number): ReturnType<KnownRecords['sampleRoutes']> {
    return this.known.sampleRoutes(count, random);
  }

  keys(): Iterable<string> {
    return this.known.keys();
  }

  keepLost(): void {
    this.known.keepLost();
  }

  judgeLost(): void {
    this.known.judgeLost();
  }

  releaseLost(isAll: boolean): string[] {
    return this.noteChanged(this.known.releaseLost(isAll));
  }

  restoreLost(): string[] {
    return this.noteChanged(this.known.restoreLost());
  }

  remove(keys: readonly string[]): void {
    this.known.remove(keys);
    this.noteChanged(keys);
  }

  abandonAll(): void {
    this.known.abandonAll();
  }

  chunks(count: number): Iterable<readonly RecordText[]> {
    return this.known.chunks(count);
  }

  /** Forgets the records of a store that is used no more; its file stays. */
  clear(): void {
    this.known.clear();
    this.changed.clear();
    if (this.database !== null) this.behindSinceMs = null;
  }

  /** Writes what is left, and closes the file. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.behindSinceMs = null;
    const { database } = this;
    if (database === null) return;
    try {
      while (this.changed.size > 0) this.write(database);
    } catch (error) {
      this.problems.report('the snapshot cannot be written', { path: this.path, error: error as Error });
    }
    this.changed.clear();
    this.database = null;
    database.close();
  }

  private load(database: DatabaseSync): void {
    const page = database.prepare('SELECT id, key, text FROM records WHERE id > ? ORDER BY id LIMIT ?');
    let count = 0;
    for (let last = 0; ; ) {
      const rows = page.all(last, pageSize);
      if (rows.length === 0) break;
      this.known.restore(rows.map(({ key, text }) => [String(key), String(text)] as const));
      count += rows.length;
      last = Number(rows.at(-1)?.['id']);
    }
    if (count > 0) this.log.info('known routes are in the snapshot', { records: count });
  }

  private noteChanged<Keys extends readonly string[]>(keys: Keys): Keys {
    if (this.database === null) return keys;
    for (const key of keys) if (key !== '') this.changed.add(key);
    if (this.changed.size === 0) return keys;
    this.behindSinceMs ??= systemClock.monotonicMs();
    this.writeLater(writeAfterMs);
    return keys;
  }

  private writeLater(delayMs: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      const { database } = this;
      if (database === null) return;
      try {
        this.write(database);
        if (this.changed.size > 0) this.writeLater(this.changed.size > changesPerWrite ? pauseWithinMs : writeAfterMs);
      } catch (error) {
        this.problems.report('the snapshot cannot be written', { path: this.path, error: error as Error });
        this.writeLater(pauseAfterFailureMs);
      }
    }, delayMs).unref();
  }

  /** Makes one transaction of the changes that have waited longest. */
  private write(database: DatabaseSync): void {
    const keys = [...this.changed].slice(0, changesPerWrite);
    database.exec('BEGIN IMMEDIATE');
    try {
      const remove = database.prepare('DELETE FROM records WHERE key = ?');
      const add = database.prepare('INSERT INTO records (key, text) VALUES (?, ?)');
      for (const key of keys) {
        const text = this.known.get(key);
        // Added anew, so that it is the last to go.
        remove.run(key);
        if (text !== undefined) add.run(key, text);
      }
      database.prepare('DELETE FROM records WHERE id <= (SELECT max(id) FROM records) - ?').run(this.recordsMax);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    for (const key of keys) this.changed.delete(key);
    // The others have come since, or are written within moments.
    this.behindSinceMs = this.changed.size === 0 ? null : systemClock.monotonicMs();
  }
}

/** @throws if there is no place for the file. A file that is no snapshot, or is damaged, is made anew. */
function open(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  try {
    return openFile(path);
  } catch {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(path + end, { force: true });
    return openFile(path);
  }
}

function openFile(path: string): DatabaseSync {
  const before = process.umask(0o077);
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path, { timeout: 1000 });
  } finally {
    process.umask(before);
  }
  try {
    chmodSync(path, 0o600);
    // A crash of the machine may cost the last seconds, and no more.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    const id = Number(Object.values(database.prepare('PRAGMA application_id').get() ?? {})[0]);
    const isNew = Number(Object.values(database.prepare('SELECT count(*) FROM sqlite_schema').get() ?? {})[0]) === 0;
    if (id !== applicationId && !isNew) throw new Error('it is no snapshot');
    database.exec(`
      PRAGMA application_id = ${applicationId};
      CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
    `);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
