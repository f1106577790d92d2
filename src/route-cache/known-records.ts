import type { DownMark } from '../routing/backend.ts';
import type { CertificatePair, CollectionName, StoredRoute } from '../stores/contract.ts';
import { HeldRecords, nobody } from './held-records.ts';
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
/** Records of wildcards with options that are spared, each time that the oldest have to go. */
const sparedMax = 1000;
/** How the text of a record without any element begins. */
const emptyRoute = '[[],';
/** Up to so many routes, a sample looks at each of them. */
const walkedMax = 5000;

/** The key of a record. Options are a part of the record of their pattern. */
export function knownKey(collection: CollectionName, pattern: string): string {
  return `${collection === 'options' ? 'routes' : collection} ${pattern}`;
}

/** The collection and the pattern of a key. */
export function splitKey(key: string): { readonly collection: KnownCollection; readonly pattern: string } {
  const [collection] = key.split(' ', 1);
  const pattern = key.slice((collection as string).length + 1);
  return { collection: collection === 'routes' ? 'routes' : 'certificates', pattern };
}

/** Says that every record of a worker may have changed. */
export const allChanged: KnownRecord = ['', ''];

/**
 * The records that the workers of an instance have read, as text. They serve a worker that cannot reach the store. About the
 * records that were read longest ago are dropped first.
 *
 * A record is only as good as the worker that learns of its changes. If that has gone, another one must read it again:
 * see `assign`.
 */
export class KnownRecords {
  private present = new HeldRecords();
  /** Records that do not exist. */
  private absent = new HeldRecords();
  /** Of the records that exist. The next records that are added push others out. */
  bytesMax: number;
  private readonly losses: RecordLosses | null;
  private knownRoutes = 0;

  /** @param losses what keeps records that are lost; default: nothing. */
  constructor(bytesMax: number, losses: RecordLosses | null = null) {
    this.bytesMax = bytesMax;
    this.losses = losses;
  }

  get size(): number {
    return this.present.size + this.absent.size;
  }

  /** Records of which no worker is known to learn changes. */
  get unverified(): number {
    return this.present.unverified + this.absent.unverified;
  }

  /** Routes that exist. */
  get routes(): number {
    return this.knownRoutes;
  }

  /** Memory of the records that exist. */
  get bytes(): number {
    return this.present.bytes;
  }

  /** @param holder id of the worker that reports them, from 1. */
  add(records: readonly KnownRecord[], holder = 1): void {
    for (const [key, text] of records) {
      if (key === '') this.abandon(holder);
      else if (text === '') this.forget(key, holder);
      else this.put(key, text, holder);
    }
    while (this.absent.size > absencesMax) this.absent.delete(this.absent.oldest());
    for (let spared = 0; this.bytes > this.bytesMax; ) {
      const oldest = this.present.oldest();
      // Hosts inherit its options, which may say who may see them.
      if (spared++ < sparedMax && this.isWildcardWithOptions(oldest)) this.present.moveToEnd(oldest);
      else this.delete(oldest);
    }
  }

  /** Adds records that an earlier process has read: no worker learns of their changes yet. */
  restore(records: readonly KnownRecord[]): void {
    this.add(records, nobody);
  }

  /** Undefined if nothing is known. */
  get(key: string): string | undefined {
    return this.present.get(key) ?? (this.absent.has(key) ? absence : undefined);
  }

  /** The worker does not learn of changes of its records any more. */
  abandon(holder: number): void {
    this.present.abandon(holder);
    this.absent.abandon(holder);
  }

  /** Gives a worker up to `count` records that nobody holds. @returns their keys: the worker has to read them. */
  assign(count: number, holder: number): string[] {
    const keys = this.present.assign(count, holder);
    return keys.length < count ? [...keys, ...this.absent.assign(count - keys.length, holder)] : keys;
  }

  /** Up to `count` routes that exist, or did a moment ago, drawn at random; and how many such routes there are. */
  sampleRoutes(count: number, random: () => number): { readonly patterns: string[]; readonly routes: number } {
    const recent = (this.losses?.recent() ?? []).map(([key]) => key).filter(isRoute);
    const routes = this.knownRoutes + recent.length;
    const sample = routes > walkedMax ? this.draw(count, random, recent) : this.walk(count, random, recent);
    return { patterns: sample.map((key) => splitKey(key).pattern), routes };
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
    this.present.abandon(null);
  }

  /** The keys of all records that exist. */
  keys(): IterableIterator<string> {
    return this.present.keys();
  }

  clear(): void {
    this.losses?.clear();
    this.knownRoutes = 0;
    this.present = new HeldRecords();
    this.absent = new HeldRecords();
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
    for (const key of this.present.keys()) yield [key, this.present.get(key) as string];
    for (const key of this.absent.keys()) yield [key, absence];
  }

  private put(key: string, text: string, holder: number): void {
    if (text === absence && this.stays(key, text, holder)) return;
    this.delete(key);
    // It would push out all others, and then itself.
    if (text.length > this.bytesMax) return;
    if (text === absence) {
      this.absent.put(key, '', holder);
    } else {
      this.losses?.found(key);
      if (this.present.put(key, text, holder) && isRoute(key)) this.knownRoutes++;
    }
  }

  /** Whether a record stays known that a worker reports as changed or absent. The worker learns of its changes. */
  private stays(key: string, text: string, holder: number): boolean {
    const { losses, present } = this;
    const known = losses === null ? undefined : present.get(key);
    if (known === undefined) return false;
    const isFound = text === absence && present.isAssigned(key);
    if (losses?.lost([key, text], known, holder, isFound, this.knownRoutes) !== true) return false;
    present.hold(key, holder);
    return true;
  }

  /** The holder of a record reads it again when it changes. The word of another worker may be older than that. */
  private forget(key: string, worker: number): void {
    const holder = this.present.holderOf(key) ?? this.absent.holderOf(key);
    if ((holder === worker || holder === nobody) && !this.stays(key, '', worker)) this.delete(key);
  }

  private lose([key, text]: KnownRecord, holder: number): void {
    const known = this.present.get(key);
    if (known !== undefined) this.losses?.note(key, known);
    this.delete(key);
    if (text === absence) this.absent.put(key, '', holder);
  }

  private delete(key: string): void {
    this.absent.delete(key);
    if (this.present.delete(key) && isRoute(key)) this.knownRoutes--;
  }

  private isWildcardWithOptions(key: string): boolean {
    return key.startsWith('routes *') && routeOf(this.present.get(key) ?? absence)?.options !== undefined;
  }

  /** A pattern without a route, whose options others inherit. */
  private hasOptionsAlone(key: string): boolean {
    return this.present.get(key)?.startsWith(emptyRoute) === true;
  }

  /** Looks at every route. */
  private walk(count: number, random: () => number, recent: readonly string[]): string[] {
    const drawn: string[] = [];
    let routes = 0;
    const consider = (key: string): void => {
      if (!isRoute(key) || this.hasOptionsAlone(key)) return;
      const at = routes < count ? routes : Math.floor(random() * (routes + 1));
      routes++;
      if (at < count) drawn[at] = key;
    };
    for (const key of this.present.keys()) consider(key);
    recent.forEach(consider);
    return drawn;
  }

  /** Draws from so many routes that few are drawn twice. */
  private draw(count: number, random: () => number, recent: readonly string[]): string[] {
    const drawn = new Set<string>();
    const all = this.present.size + recent.length;
    for (let attempt = 0; drawn.size < count && attempt < 20 * count; attempt++) {
      const at = Math.floor(random() * all);
      const key = at < recent.length ? (recent[at] as string) : this.present.draw(random);
      if (isRoute(key) && !this.hasOptionsAlone(key)) drawn.add(key);
    }
    return [...drawn];
  }
}

type RouteParts = readonly [
  frontend: readonly unknown[],
  down: readonly (readonly [string, DownMark])[],
  options?: readonly (readonly [string, string])[],
];

export function routeText(record: StoredRoute | null): string {
  if (record === null) return absence;
  const { frontend, down, options } = record;
  return JSON.stringify(options === undefined ? [frontend, [...down]] : [frontend, [...down], [...options]]);
}

export function routeOf(text: string): StoredRoute | null {
  const parsed = JSON.parse(text) as RouteParts | null;
  if (parsed === null) return null;
  const [frontend, down, options] = parsed;
  return { frontend, down: new Map(down), ...(options === undefined ? {} : { options: new Map(options) }) };
}

export function certificateText(pair: CertificatePair | null): string {
  return pair === null ? absence : JSON.stringify([pair.certificate, pair.key]);
}

export function certificateOf(text: string): CertificatePair | null {
  const parsed = JSON.parse(text) as readonly [string, string] | null;
  return parsed === null ? null : { certificate: parsed[0], key: parsed[1] };
}
