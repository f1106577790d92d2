import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { CollectionName } from '../contract.ts';
import { hasCertificates, isServedKind, storeIdPrefix } from './schema.ts';

/** Changes in one read. A poll reads until none are left. */
const changesPerRead = 1000;

/** The keys of changed records, each once. */
export type Changes = ReadonlyMap<CollectionName, ReadonlySet<string>>;

/**
 * Finds what any connection of any process has changed in the database, except the reader's own connection, which never
 * writes. A poll without changes costs about 1.5 us. Throws SQLite's own errors.
 */
export class SqliteChanges {
  private readonly dataVersion: StatementSync;
  private readonly since: StatementSync;
  private readonly bounds: StatementSync;
  private readonly records: StatementSync;
  private version = -1;
  private revision = 0;
  private id = '';

  constructor(database: DatabaseSync) {
    this.dataVersion = database.prepare('PRAGMA data_version');
    const kind = hasCertificates(database) ? 'kind' : "'route' AS kind";
    this.since = database.prepare(
      `SELECT revision, pattern, ${kind} FROM changes WHERE revision > ? ORDER BY revision LIMIT ?`,
    );
    const isRecord = hasCertificates(database) ? `WHERE ${isServedKind}` : '';
    this.records = database.prepare(`SELECT 1 FROM changes ${isRecord} LIMIT 1`);
    this.bounds = database.prepare(`
      SELECT (SELECT value FROM meta WHERE key = 'trimmed_to') AS trimmed_to,
        (SELECT name FROM sqlite_sequence WHERE name GLOB '${storeIdPrefix}*') AS id,
        max((SELECT coalesce(max(revision), 0) FROM changes), (SELECT value FROM meta WHERE key = 'trimmed_to')) AS last`);
  }

  /** Whether a route, an option or a certificate has ever been in the store. */
  hasHadRecords(): boolean {
    return this.readBounds().trimmedTo > 0 || this.records.get() !== undefined;
  }

  /** `poll` reports changes from this moment on. */
  start(): void {
    this.version = this.readVersion();
    const { last, id } = this.readBounds();
    this.revision = last;
    this.id = id;
  }

  /** The changes since the last call; `lost` if the log does not reach back that far. */
  poll(): Changes | 'lost' {
    const version = this.readVersion();
    if (version === this.version) return none;
    const { trimmedTo, last, id } = this.readBounds();
    // Before the start of the log, or past its end: an older copy of the database has been restored. Or another database.
    if (this.revision < trimmedTo || this.revision > last || id !== this.id) {
      this.start();
      return 'lost';
    }
    const changes = new Map<CollectionName, Set<string>>();
    for (;;) {
      const rows = this.since.all(this.revision, changesPerRead);
      for (const { revision, pattern, kind } of rows) {
        this.revision = Number(revision);
        const collection = collectionOf.get(String(kind));
        // Of a later version: nothing here has read it.
        if (collection === undefined) continue;
        const keys = changes.get(collection) ?? new Set();
        changes.set(collection, keys.add(String(pattern)));
      }
      if (rows.length < changesPerRead) break;
    }
    this.version = version;
    return changes;
  }

  private readVersion(): number {
    const { data_version: version } = this.dataVersion.get() ?? {};
    return Number(version);
  }

  private readBounds(): { trimmedTo: number; last: number; id: string } {
    const { trimmed_to: trimmedTo, last, id } = this.bounds.get() ?? {};
    return { trimmedTo: Number(trimmedTo), last: Number(last), id: String(id) };
  }
}

/** By the `kind` of a change, as the triggers write it. */
const collectionOf: ReadonlyMap<string, CollectionName> = new Map([
  ['route', 'routes'],
  ['option', 'options'],
  ['certificate', 'certificates'],
]);

const none: Changes = new Map();
