import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HipacheError } from '../../base/errors.ts';
import type { DownMark } from '../../routing/backend.ts';
import type {
  CertificatePair,
  DueNote,
  NoteCondition,
  OptionOutcome,
  OptionRecord,
  RouteChange,
  RouteOutcome,
  StoredInstance,
} from '../contract.ts';
import type { FailuresByUrl } from '../failures.ts';
import { changeRecord, identitiesOf, isWritten, type OldRecord } from '../record-edit.ts';
import { readAccepted, writeAccepted } from './accepted-row.ts';
import { ExpiryTable } from './expiry-table.ts';
import { type FailureRows, readFailures, writeFailures } from './failed-table.ts';
import { readInstances, readRevision, removeInstance, writeInstance } from './instance-table.ts';
import { readDueNotes, readNote, writeNote } from './note-table.ts';
import { type OptionRows, OptionTable } from './option-table.ts';
import { hasCertificates, markTransaction } from './schema.ts';

/** A dead mark, in the form in which threads exchange it. */
type MarkRow = readonly [url: string, untilMs: number, sinceMs: number, reason: string, instance: string];

/** A record, its marks and options, in the form in which threads exchange them: unparsed, and null for none. */
export interface RouteRow {
  readonly record: string | null;
  readonly marks: readonly MarkRow[] | null;
  readonly options: OptionRows | null;
}

/** A change of the tables. `pattern` is the key of the record: of an instance, its id. */
export type Write =
  | { readonly kind: 'changeRoutes'; readonly changes: readonly RouteChange[] }
  | { readonly kind: 'removeExpired'; readonly pattern: '' }
  | { readonly kind: 'putRoute'; readonly pattern: string; readonly record: readonly unknown[] }
  | {
      readonly kind: 'changeOptions';
      readonly pattern: string;
      readonly changes: ReadonlyMap<string, string | null>;
    }
  | ({ readonly kind: 'putOptions' } & OptionRecord)
  | { readonly kind: 'writeMark'; readonly pattern: string; readonly url: string; readonly mark: DownMark }
  | { readonly kind: 'removeMark'; readonly pattern: string; readonly url: string }
  | { readonly kind: 'addFailures'; readonly pattern: string; readonly failures: FailuresByUrl }
  | {
      readonly kind: 'writeInstance';
      readonly pattern: string;
      readonly fields: string;
      readonly untilMs: number;
    }
  | { readonly kind: 'removeInstance'; readonly pattern: string }
  | { readonly kind: 'accept'; readonly pattern: string; readonly text: string }
  | {
      readonly kind: 'writeNote';
      /** Its name. */
      readonly pattern: string;
      readonly text: string | null;
      readonly condition: NoteCondition;
    }
  | { readonly kind: 'writeCertificate'; readonly pattern: string; readonly pair: CertificatePair }
  | { readonly kind: 'removeCertificate'; readonly pattern: string };

/** The result of one write. A conflict is one too: the other writes of its transaction are made all the same. */
export type WriteResult =
  | { readonly kind: 'done'; readonly isRemoved: boolean }
  | { readonly kind: 'outcomes'; readonly outcomes: readonly RouteOutcome[] }
  | { readonly kind: 'isWritten'; readonly isWritten: boolean }
  | { readonly kind: 'optionOutcome'; readonly outcome: OptionOutcome }
  | { readonly kind: 'error'; readonly error: Pick<HipacheError, 'code' | 'message'> };

const done: WriteResult = { kind: 'done', isRemoved: false };

/** Surplus changes that the log collects before it is trimmed, so that not every write has to trim it. */
const trimStep = 500;

/** The statements of one connection, which read and edit all records. Throws SQLite's own errors. */
export class SqliteTables {
  private readonly database: DatabaseSync;
  private readonly changesKept: number;
  private readonly hasCertificates: boolean;
  private readonly statements = new Map<string, StatementSync>();
  private readonly expiries = new ExpiryTable((sql) => this.statement(sql));
  private readonly options = new OptionTable((sql) => this.statement(sql));

  constructor(database: DatabaseSync, changesKept = 0) {
    this.database = database;
    this.changesKept = changesKept;
    this.hasCertificates = hasCertificates(database);
    database.prepare('SELECT 1 FROM frontends, down, changes, meta LIMIT 0').all();
  }

  /** The rows of `patterns`, in their order, from one snapshot. */
  readRoutes(patterns: readonly string[]): (RouteRow | null)[] {
    if (patterns.length === 1) return [this.readOne(patterns[0] as string)];
    this.database.exec('BEGIN');
    try {
      return patterns.map((pattern) => this.readOne(pattern));
    } finally {
      if (this.database.isTransaction) this.database.exec('COMMIT');
    }
  }

  listRoutes(after: string, limit: number): { pattern: string; record: string }[] {
    const isLive = this.expiries.exists() ? 'pattern NOT IN (SELECT pattern FROM expiries WHERE at_ms <= ?)' : '?';
    const rows = this.statement(
      `SELECT pattern, record FROM frontends WHERE ${isLive} AND pattern > ? ORDER BY pattern LIMIT ?`,
    );
    return rows
      .all(Date.now(), after, limit)
      .map(({ pattern, record }) => ({ pattern: String(pattern), record: String(record) }));
  }

  readOptions(patterns: readonly string[]): (OptionRows | null)[] {
    return patterns.map((pattern) => this.options.read(pattern));
  }

  listOptions(after: string, limit: number): { readonly pattern: string; readonly options: OptionRows }[] {
    return this.options.list(after, limit);
  }

  /** When the route of a pattern expires, in epoch ms; null: never. */
  readExpiry(pattern: string): number | null {
    return this.expiries.read(pattern);
  }

  /** When the first of all routes expires, in epoch ms. */
  nextExpiry(): number {
    return this.expiries.next();
  }

  readCertificates(patterns: readonly string[]): (CertificatePair | null)[] {
    if (!this.hasCertificates) return patterns.map(() => null);
    const statement = this.statement('SELECT certificate, key FROM certificates WHERE pattern = ?');
    return patterns.map((pattern) => {
      const { certificate, key } = statement.get(pattern) ?? {};
      return certificate === undefined ? null : { certificate: String(certificate), key: String(key) };
    });
  }

  listCertificates(after: string, limit: number): string[] {
    if (!this.hasCertificates) return [];
    const statement = this.statement('SELECT pattern FROM certificates WHERE pattern > ? ORDER BY pattern LIMIT ?');
    return statement.all(after, limit).map(({ pattern }) => String(pattern));
  }

  readFailures(pattern: string, nowMs: number): FailureRows {
    return readFailures((sql) => this.statement(sql), pattern, nowMs);
  }

  readInstances(nowMs: number): StoredInstance[] {
    return readInstances((sql) => this.statement(sql), nowMs);
  }

  readAccepted(): string | null {
    return readAccepted((sql) => this.statement(sql));
  }

  readNote(name: string): string | null {
    return readNote((sql) => this.statement(sql), name, Date.now());
  }

  readDueNotes(atMs: number, limit: number): DueNote[] {
    return readDueNotes((sql) => this.statement(sql), atMs, limit);
  }

  readRevision(): number {
    return readRevision((sql) => this.statement(sql));
  }

  /** Makes the changes in one transaction: all of them or, if it throws, none. @returns the result of each. */
  write(writes: readonly Write[], nowMs: number): WriteResult[] {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      markTransaction((sql) => this.statement(sql));
      const results = writes.map((write) => this.apply(write, nowMs));
      this.trim(nowMs);
      this.database.exec('COMMIT');
      return results;
    } catch (error) {
      // A full disk or a damaged page may have ended the transaction already.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  private apply(write: Write, nowMs: number): WriteResult {
    if (write.kind === 'changeRoutes') return this.changeRoutes(write.changes, nowMs);
    const { pattern } = write;
    switch (write.kind) {
      case 'removeExpired':
        this.removeExpired(nowMs);
        return done;
      case 'putRoute':
        this.put(pattern, write.record);
        this.expiries.write(pattern, null);
        return done;
      case 'changeOptions':
        return { kind: 'optionOutcome', outcome: this.options.change(pattern, write.changes) };
      case 'putOptions':
        this.options.put(write);
        return done;
      case 'writeMark':
        this.mark(pattern, write.url, write.mark);
        return done;
      case 'removeMark':
        this.statement('DELETE FROM down WHERE pattern = ? AND url = ?').run(pattern, write.url);
        return done;
      case 'addFailures':
        writeFailures((sql) => this.statement(sql), pattern, write.failures, nowMs);
        return done;
      case 'writeInstance':
        writeInstance((sql) => this.statement(sql), pattern, write.fields, write.untilMs, nowMs);
        return done;
      case 'removeInstance':
        removeInstance((sql) => this.statement(sql), pattern);
        return done;
      case 'accept':
        writeAccepted((sql) => this.statement(sql), write.text);
        return done;
      case 'writeNote': {
        const { condition, text } = write;
        const isWritten = writeNote((sql) => this.statement(sql), pattern, text, condition, nowMs);
        return { kind: 'isWritten', isWritten };
      }
      case 'writeCertificate':
        this.writeCertificate(pattern, write.pair);
        return done;
      case 'removeCertificate': {
        const { changes } = this.statement('DELETE FROM certificates WHERE pattern = ?').run(pattern);
        return { kind: 'done', isRemoved: Number(changes) > 0 };
      }
    }
  }

  /** All of them, or none if there is a conflict. */
  private changeRoutes(changes: readonly RouteChange[], nowMs: number): WriteResult {
    this.removeExpired(nowMs);
    let outcomes: RouteOutcome[];
    try {
      outcomes = changes.map((change) => changeRecord(change, this.record(change.pattern)));
    } catch (error) {
      if (!(error instanceof HipacheError)) throw error;
      return { kind: 'error', error: { code: error.code, message: error.message } };
    }
    for (const [i, outcome] of outcomes.entries()) {
      const change = changes[i] as RouteChange;
      if (!isWritten(change, outcome)) continue;
      if (outcome.after === null) this.remove(change.pattern);
      else this.put(change.pattern, outcome.after);
      const { kind, pattern, ttlSeconds = null } = change;
      if (kind === 'set') this.expiries.write(pattern, ttlSeconds === null ? null : nowMs + ttlSeconds * 1000);
    }
    return { kind: 'outcomes', outcomes };
  }

  private put(pattern: string, record: readonly unknown[]): void {
    this.statement(
      'INSERT INTO frontends VALUES (?, ?) ON CONFLICT (pattern) DO UPDATE SET record = excluded.record',
    ).run(pattern, JSON.stringify(record));
    this.dropMarksBut(pattern, identitiesOf(record));
  }

  private removeExpired(nowMs: number): void {
    for (const pattern of this.expiries.ended(nowMs)) this.remove(pattern);
  }

  private remove(pattern: string): void {
    this.statement('DELETE FROM frontends WHERE pattern = ?').run(pattern);
    this.dropMarksBut(pattern, new Set());
  }

  private writeCertificate(pattern: string, { certificate, key }: CertificatePair): void {
    this.statement(`
      INSERT INTO certificates VALUES (?, ?, ?)
      ON CONFLICT (pattern) DO UPDATE SET certificate = excluded.certificate, key = excluded.key`).run(
      pattern,
      certificate,
      key,
    );
  }

  /** Of two marks the one that ends later wins. A pattern without a record keeps no marks. */
  private mark(pattern: string, url: string, mark: DownMark): void {
    this.statement(`
      INSERT INTO down SELECT ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM frontends WHERE pattern = ?)
      ON CONFLICT (pattern, url) DO UPDATE SET until_ms = excluded.until_ms, since_ms = excluded.since_ms,
        reason = excluded.reason, instance = excluded.instance WHERE excluded.until_ms > down.until_ms`).run(
      pattern,
      url,
      Math.round(mark.untilMs),
      Math.round(mark.sinceMs),
      mark.reason,
      mark.instance,
      pattern,
    );
  }

  private dropMarksBut(pattern: string, urls: ReadonlySet<string>): void {
    for (const { url } of this.statement('SELECT url FROM down WHERE pattern = ?').all(pattern)) {
      if (urls.has(String(url))) continue;
      this.statement('DELETE FROM down WHERE pattern = ? AND url = ?').run(pattern, String(url));
    }
  }

  /** Bounds the log of changes and removes ended marks. Costs two look-ups if there is nothing to do. */
  private trim(nowMs: number): void {
    const bounds = this.statement(
      'SELECT (SELECT min(revision) FROM changes) AS first, (SELECT max(revision) FROM changes) AS last',
    );
    const { first = 0, last: lastValue = 0 } = bounds.get() ?? {};
    const last = Number(lastValue);
    if (last - Number(first) < this.changesKept + Math.min(trimStep, this.changesKept)) return;
    const trimmedTo = last - this.changesKept;
    this.statement('DELETE FROM changes WHERE revision <= ?').run(trimmedTo);
    this.statement("UPDATE meta SET value = ? WHERE key = 'trimmed_to'").run(trimmedTo);
    this.statement('DELETE FROM down WHERE until_ms <= ?').run(nowMs);
  }

  private readOne(pattern: string): RouteRow | null {
    const record = this.liveRecordText(pattern);
    const options = this.options.read(pattern);
    if (record === null) return options === null ? null : { record, marks: null, options };
    const rows = this.statement('SELECT url, until_ms, since_ms, reason, instance FROM down WHERE pattern = ?').all(
      pattern,
    );
    return { record, marks: rows.length === 0 ? null : rows.map(toMark), options };
  }

  private liveRecordText(pattern: string): string | null {
    const record = this.recordText(pattern);
    const expiryMs = record === null ? null : this.expiries.read(pattern);
    // It is about to be removed, by a process that serves, or by the next write.
    return expiryMs !== null && expiryMs <= Date.now() ? null : record;
  }

  private record(pattern: string): OldRecord {
    const text = this.recordText(pattern);
    return text === null ? null : (parseArray(text) ?? 'unreadable');
  }

  private recordText(pattern: string): string | null {
    const row = this.statement('SELECT record FROM frontends WHERE pattern = ?').get(pattern);
    if (row === undefined) return null;
    const { record } = row;
    return String(record);
  }

  private statement(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}

function toMark(row: Record<string, unknown>): MarkRow {
  const { url, until_ms: untilMs, since_ms: sinceMs, reason, instance } = row;
  return [String(url), Number(untilMs), Number(sinceMs), String(reason), String(instance)];
}

/** The elements of a record's JSON text; null if it is not an array. */
export function parseArray(text: string): readonly unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
