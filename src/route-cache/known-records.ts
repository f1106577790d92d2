import type { DownMark } from '../routing/backend.ts';
import type { CertificatePair, StoredRoute } from '../stores/contract.ts';
import { isRoute, type RecordLosses } from './record-losses.ts';

/** The collections whose records are remembered. */
type KnownCollection = 'routes' | 'certificates';

/**
 * A record as processes exchange it: its key, and its text. The text is `null` if the store has no such record, and empty
 * if nothing is known of it any more.
 */
export type KnownRecord = readonly [key: string, text: string];

/** Absences that are kept: clients can cause as many as they like. */
const absencesMax = 50_000;
const absence = 'null';
/** Approximate memory of an entry besides its characters, in bytes. */
const entryBytes = 150;
/** In place of the worker that holds a record: it has gone. */
const nobody = 0;

/** The key of a record. */
export function knownKey(collection: KnownCollection, pattern: string): string {
  return `${collection} ${pattern}`;
}

/** The collection and the pattern of a key. */
export function splitKey(key: string): { readonly collection: KnownCollection; readonly pattern: string } {
  const [collection] = key.split(' ', 1);
  const pattern = key.slice((collection as string).length + 1);
  return { collection: collection === 'routes' ? 'routes' : 'certificates', pattern };
}

/** Says that every record of a worker may have changed. */
export const allChanged: KnownRecord = ['', ''];

interface Known {
  readonly text: string;
  /** The id of the worker that read it last, and learns of its changes. */
  holder: number;
}

/**
 * The records that the workers of an instance have read, as text. They serve a worker that cannot reach the store. The
 * records that were read longest ago are dropped first.
 *
 * A record is only as good as the worker that learns of its changes. If that has gone, another one must read it again:
 * see `assign`.
 */
export class KnownRecords {
  private readonly known = new Map<string, Known>();
  /** Keys of records that do not exist, and their holders. */
  private readonly absences = new Map<string, number>();
  /** Keys whose holder has gone. */
  private readonly orphans = new Set<string>();
  /** Keys that were assigned, and that the worker has not reported yet. */
  private readonly assigned = new Set<string>();
  private readonly bytesMax: number;
  private readonly losses: RecordLosses | null;
  private used = 0;
  private knownRoutes = 0;

  /** @param losses what keeps records that are lost; default: nothing. */
  constructor(bytesMax: number, losses: RecordLosses | null = null) {
    this.bytesMax = bytesMax;
    this.losses = losses;
  }

  get size(): number {
    return this.known.size + this.absences.size;
  }

  /** Records of which no worker is known to learn changes. */
  get unverified(): number {
    return this.orphans.size + this.assigned.size;
  }

  /** Routes that exist. */
  get routes(): number {
    return this.knownRoutes;
  }

  /** Approximate memory. */
  get bytes(): number {
    return this.used;
  }

  /** @param holder id of the worker that reports them, from 1. */
  add(records: readonly KnownRecord[], holder = 1): void {
    for (const [key, text] of records) {
      if (key === '') this.abandon(holder);
      else if (text === '') this.forget(key, holder);
      else this.put(key, text, holder);
    }
    for (const key of this.absences.keys()) {
      if (this.absences.size <= absencesMax) break;
      this.delete(key);
    }
    for (const key of this.known.keys()) {
      if (this.used <= this.bytesMax) break;
      this.delete(key);
    }
  }

  /** Adds records that an earlier process has read: no worker learns of their changes yet. */
  restore(records: readonly KnownRecord[]): void {
    this.add(records, nobody);
    for (const [key] of records) if (this.get(key) !== undefined) this.orphans.add(key);
  }

  /** Undefined if nothing is known. */
  get(key: string): string | undefined {
    return this.absences.has(key) ? absence : this.known.get(key)?.text;
  }

  /** The worker does not learn of changes of its records any more. */
  abandon(holder: number): void {
    for (const [key, known] of this.known) {
      if (known.holder !== holder) continue;
      known.holder = nobody;
      this.orphans.add(key);
      this.assigned.delete(key);
    }
    for (const [key, absenceHolder] of this.absences) {
      if (absenceHolder !== holder) continue;
      this.absences.set(key, nobody);
      this.orphans.add(key);
      this.assigned.delete(key);
    }
  }

  /** Gives a worker up to `count` records that nobody holds. @returns their keys: the worker has to read them. */
  assign(count: number, holder: number): string[] {
    const keys: string[] = [];
    for (const key of this.orphans) {
      if (keys.length >= count) break;
      keys.push(key);
      this.orphans.delete(key);
      this.assigned.add(key);
      const known = this.known.get(key);
      if (known === undefined) this.absences.set(key, holder);
      else known.holder = holder;
    }
    return keys;
  }

  /** Up to `count` routes that exist, or did a moment ago, drawn at random; and how many such routes there are. */
  sampleRoutes(count: number, random: () => number): { readonly patterns: string[]; readonly routes: number } {
    const patterns: string[] = [];
    let routes = 0;
    const draw = (key: string): void => {
      if (!isRoute(key)) return;
      const at = routes < count ? routes : Math.floor(random() * (routes + 1));
      routes++;
      if (at < count) patterns[at] = splitKey(key).pattern;
    };
    for (const key of this.known.keys()) draw(key);
    for (const [key] of this.losses?.recent() ?? []) draw(key);
    return { patterns, routes };
  }

  /** From now on, records stay known that are reported as changed or absent. */
  keepLost(): void {
    this.losses?.keep();
  }

  /** The wipe guard begins to judge. */
  judgeLost(): void {
    this.losses?.judging();
  }

  /**
   * Nothing was wiped: applies what was reported, or only what was before the judgement began.
   * @returns the keys.
   */
  releaseLost(isAll: boolean): string[] {
    const released = this.losses?.release(isAll) ?? [];
    for (const { record, holder } of released) this.lose(record, holder);
    return released.map(({ record: [key] }) => key);
  }

  /** Records are known again that are gone since a moment. @returns their keys. */
  restoreLost(): string[] {
    const records = this.losses?.recent() ?? [];
    this.restore(records);
    return records.map(([key]) => key);
  }

  /** Forgets records that the store does not have, and what was lost. */
  remove(keys: readonly string[]): void {
    this.losses?.clear();
    for (const key of keys) this.delete(key);
  }

  /** Nobody learns of changes of any record. */
  abandonAll(): void {
    for (const [key, known] of this.known) {
      known.holder = nobody;
      this.orphans.add(key);
    }
    this.assigned.clear();
  }

  /** The keys of all records that exist. */
  keys(): IterableIterator<string> {
    return this.known.keys();
  }

  clear(): void {
    this.losses?.clear();
    this.knownRoutes = 0;
    this.known.clear();
    this.absences.clear();
    this.orphans.clear();
    this.assigned.clear();
    this.used = 0;
  }

  /** All records, oldest first, in lists of up to `count`. */
  *chunks(count: number): IterableIterator<readonly KnownRecord[]> {
    let chunk: KnownRecord[] = [];
    for (const record of this.records()) {
      chunk.push(record);
      if (chunk.length < count) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  }

  private *records(): IterableIterator<KnownRecord> {
    for (const [key, { text }] of this.known) yield [key, text];
    for (const key of this.absences.keys()) yield [key, absence];
  }

  private put(key: string, text: string, holder: number): void {
    if (text === absence && this.stays(key, text, holder)) return;
    this.delete(key);
    if (text === absence) {
      this.absences.set(key, holder);
    } else {
      this.losses?.found(key);
      this.known.set(key, { text, holder });
      this.used += sizeOf(key, text);
      if (isRoute(key)) this.knownRoutes++;
    }
  }

  /** Whether a record stays known that a worker reports as changed or absent. The worker learns of its changes. */
  private stays(key: string, text: string, holder: number): boolean {
    const known = this.known.get(key);
    if (known === undefined || this.losses === null) return false;
    const isFound = text === absence && this.assigned.has(key);
    if (!this.losses.lost([key, text], known.text, holder, isFound, this.knownRoutes)) return false;
    known.holder = holder;
    this.orphans.delete(key);
    this.assigned.delete(key);
    return true;
  }

  /** The holder of a record reads it again when it changes. The word of another worker may be older than that. */
  private forget(key: string, worker: number): void {
    const holder = this.known.get(key)?.holder ?? this.absences.get(key);
    if ((holder === worker || holder === nobody) && !this.stays(key, '', worker)) this.delete(key);
  }

  private lose([key, text]: KnownRecord, holder: number): void {
    const known = this.known.get(key);
    if (known !== undefined) this.losses?.note(key, known.text);
    this.delete(key);
    if (text === absence) this.absences.set(key, holder);
  }

  private delete(key: string): void {
    this.absences.delete(key);
    this.orphans.delete(key);
    this.assigned.delete(key);
    const known = this.known.get(key);
    if (known === undefined) return;
    this.known.delete(key);
    this.used -= sizeOf(key, known.text);
    if (isRoute(key)) this.knownRoutes--;
  }
}

function sizeOf(key: string, text: string): number {
  return key.length + text.length + entryBytes;
}

export function routeText(record: StoredRoute | null): string {
  return record === null ? absence : JSON.stringify([record.frontend, [...record.down]]);
}

export function routeOf(text: string): StoredRoute | null {
  const parsed = JSON.parse(text) as readonly [readonly unknown[], readonly [string, DownMark][]] | null;
  return parsed === null ? null : { frontend: parsed[0], down: new Map(parsed[1]) };
}

export function certificateText(pair: CertificatePair | null): string {
  return pair === null ? absence : JSON.stringify([pair.certificate, pair.key]);
}

export function certificateOf(text: string): CertificatePair | null {
  const parsed = JSON.parse(text) as readonly [string, string] | null;
  return parsed === null ? null : { certificate: parsed[0], key: parsed[1] };
}
