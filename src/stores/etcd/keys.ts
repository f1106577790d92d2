import { type RecordKey, type RecordKind, recordKinds } from '../key-value/client.ts';

/** Keys from `start` up to, not including, `end`. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

/** The names of the keys of one store, `/<prefix>frontend:<pattern>`. */
export class EtcdKeys {
  private readonly prefix: string;

  /** @param prefix begins with a slash. */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  of(key: RecordKey): Buffer {
    return Buffer.from(this.nameOf(key));
  }

  /** As messages show it. */
  nameOf(key: RecordKey): string {
    return this.prefix + key;
  }

  /** The key that every write of Hipache's puts: its revision is that of the store. */
  get revision(): Buffer {
    return Buffer.from(`${this.prefix}hipache:revision`);
  }

  /** The record of an instance. */
  instance(id: string): Buffer {
    return Buffer.from(`${this.prefix}hipache:instance:${id}`);
  }

  /** The records of all instances. */
  get instances(): KeyRange {
    return rangeOf(`${this.prefix}hipache:instance:`);
  }

  instanceOf(key: string): string {
    return key.slice(`${this.prefix}hipache:instance:`.length);
  }

  /** All keys of a kind; all keys of the store for null. */
  range(kind: RecordKind | null): KeyRange {
    return rangeOf(kind === null ? this.prefix : `${this.prefix}${kind}:`);
  }

  /** The kind and the pattern of a key that `of` makes; null for any other key. */
  parse(key: Buffer): { readonly kind: RecordKind; readonly pattern: string } | null {
    const name = key.toString();
    if (!name.startsWith(this.prefix)) return null;
    const rest = name.slice(this.prefix.length);
    const kind = recordKinds.find((known) => rest.startsWith(`${known}:`));
    return kind === undefined ? null : { kind, pattern: rest.slice(kind.length + 1) };
  }
}

function rangeOf(prefix: string): KeyRange {
  const start = Buffer.from(prefix);
  const end = Buffer.from(start);
  // The last byte is "/", ":", or part of a character in UTF-8, where none is 0xff.
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { start, end };
}
