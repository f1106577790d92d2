import type { DownMark } from '../routing/backend.ts';
import type { CertificatePair, StoredRoute } from '../stores/contract.ts';

/** The collections whose records are remembered. */
type KnownCollection = 'routes' | 'certificates';

/** A record as processes exchange it: its key, and its text. The text is `null` if the store has no such record. */
export type KnownRecord = readonly [key: string, text: string];

/** Absences that are kept: clients can cause as many as they like. */
const absencesMax = 50_000;
const absence = 'null';
/** Approximate memory of an entry besides its characters, in bytes. */
const entryBytes = 150;

/** The key of a record. */
export function knownKey(collection: KnownCollection, pattern: string): string {
  return `${collection} ${pattern}`;
}

/**
 * The records that the workers of an instance have read, as text. They serve a worker that cannot reach the store. The
 * records that were read longest ago are dropped first.
 */
export class KnownRecords {
  private readonly texts = new Map<string, string>();
  /** Keys of records that do not exist. */
  private readonly absences = new Set<string>();
  private readonly bytesMax: number;
  private used = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get size(): number {
    return this.texts.size + this.absences.size;
  }

  /** Approximate memory. */
  get bytes(): number {
    return this.used;
  }

  add(records: readonly KnownRecord[]): void {
    for (const [key, text] of records) {
      this.delete(key);
      if (text === absence) {
        this.absences.add(key);
      } else {
        this.texts.set(key, text);
        this.used += sizeOf(key, text);
      }
    }
    for (const key of this.absences) {
      if (this.absences.size <= absencesMax) break;
      this.absences.delete(key);
    }
    for (const key of this.texts.keys()) {
      if (this.used <= this.bytesMax) break;
      this.delete(key);
    }
  }

  /** Undefined if nothing is known. */
  get(key: string): string | undefined {
    return this.absences.has(key) ? absence : this.texts.get(key);
  }

  clear(): void {
    this.texts.clear();
    this.absences.clear();
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
    yield* this.texts;
    for (const key of this.absences) yield [key, absence];
  }

  private delete(key: string): void {
    this.absences.delete(key);
    const text = this.texts.get(key);
    if (text === undefined) return;
    this.texts.delete(key);
    this.used -= sizeOf(key, text);
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
