import type { CollectionName } from '../contract.ts';

/** The kind of a key, by the first part of its name. */
export type RedisRecord = 'frontend' | 'down' | 'dead' | 'options' | 'tls';

/** The collection that a change of a key is reported for. */
export const collectionOf: Readonly<Record<RedisRecord, CollectionName>> = {
  frontend: 'routes',
  down: 'routes',
  dead: 'routes',
  options: 'options',
  tls: 'certificates',
};

/** The time of an external checker's last ping, in epoch seconds. Without prefix, as in the original. */
export const checkerKey = 'hchecker_ping';
/** The channel on which new dead marks are published. Without prefix, as in the original. */
export const deadChannel = 'dead';

/** The names of the keys of one store. */
export class RedisKeys {
  private readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** The counter that every write of Hipache's raises. */
  get revision(): string {
    return `${this.prefix}hipache:revision`;
  }

  /** The record of an instance. */
  instance(id: string): string {
    return `${this.prefix}hipache:instance:${id}`;
  }

  /** The ids of the instances, by the time at which the store forgets them. */
  get instances(): string {
    return `${this.prefix}hipache:instances`;
  }

  /** The operator's word that missing routes were removed. */
  get accepted(): string {
    return `${this.prefix}hipache:accepted`;
  }

  /** The last failures of the backends of a route. */
  failed(pattern: string): string {
    return `${this.prefix}hipache:failed:${pattern}`;
  }

  /** The channel on which notes are announced. */
  get events(): string {
    return `${this.prefix}hipache:events`;
  }

  note(name: string): string {
    return `${this.prefix}hipache:note:${name}`;
  }

  /** The names of notes that somebody has to look at, by the time. */
  get notesDue(): string {
    return `${this.prefix}hipache:notes-due`;
  }

  /** The beginnings of all keys whose changes matter. Redis takes none that begins with another one. */
  get reported(): readonly string[] {
    const records = Object.keys(collectionOf).map((record) => `${this.prefix}${record}:`);
    const all = [...records, this.revision, checkerKey];
    return all.filter((key) => !all.some((other) => other !== key && key.startsWith(other)));
  }

  of(record: RedisRecord, pattern: string): string {
    return `${this.prefix}${record}:${pattern}`;
  }

  /** The record and the pattern of a key that `of` makes; null for any other key. */
  parse(key: string): { readonly record: RedisRecord; readonly pattern: string } | null {
    if (!key.startsWith(this.prefix)) return null;
    const colon = key.indexOf(':', this.prefix.length);
    const record = key.slice(this.prefix.length, colon);
    if (!isRecord(record)) return null;
    return { record, pattern: key.slice(colon + 1) };
  }

  /** The pattern for SCAN that matches every key of a record. */
  glob(record: RedisRecord): string {
    return `${this.prefix.replace(/[\\*?[\]]/g, '\\$&')}${record}:*`;
  }
}

function isRecord(text: string): text is RedisRecord {
  return Object.hasOwn(collectionOf, text);
}
