import type { RecordKey, RecordKind } from '../key-value/client.ts';

const kinds: readonly RecordKind[] = ['frontend', 'down', 'dead', 'tls', 'hipache:failed'];

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

  /** All keys of a kind; all keys of the store for null. */
  range(kind: RecordKind | null): { readonly start: Buffer; readonly end: Buffer } {
    const start = Buffer.from(kind === null ? this.prefix : `${this.prefix}${kind}:`);
    const end = Buffer.from(start);
    // The last byte is one of "/", ":" or of the prefix as it was written: none is 0xff in UTF-8.
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    return { start, end };
  }

  /** The kind and the pattern of a key that `of` makes; null for any other key. */
  parse(key: Buffer): { readonly kind: RecordKind; readonly pattern: string } | null {
    const name = key.toString();
    if (!name.startsWith(this.prefix)) return null;
    const rest = name.slice(this.prefix.length);
    const kind = kinds.find((known) => rest.startsWith(`${known}:`));
    return kind === undefined ? null : { kind, pattern: rest.slice(kind.length + 1) };
  }
}
