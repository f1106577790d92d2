import type { CollectionName } from '../contract.ts';

/** The kinds of records, by the first part of their key. */
export const recordKinds = [
  'frontend',
  'down',
  'dead',
  'options',
  'tls',
  'hipache:failed',
  'hipache:accepted',
  'hipache:note',
  'hipache:note-due',
] as const;
export type RecordKind = (typeof recordKinds)[number];

/** Kinds of records that are served from, and the collections that their changes are reported for. */
export const collectionOf: Partial<Record<RecordKind, CollectionName>> = {
  frontend: 'routes',
  down: 'routes',
  options: 'options',
  tls: 'certificates',
};

/** The key of a record, `frontend:shop.example`. Drivers map it to a name of their store. */
export type RecordKey = `${RecordKind}:${string}`;

export function recordKey(kind: RecordKind, pattern: string): RecordKey {
  return `${kind}:${pattern}`;
}

/** One change of a key: its new text, or null to remove it. */
export interface KeyValueWrite {
  readonly key: RecordKey;
  readonly value: string | null;
  /** How long the store keeps it, in ms; without it, until it is removed. */
  readonly ttlMs?: number;
  /** Whether the new text has the end of the present one. */
  readonly keepsEnd?: boolean;
}

/** A change that depends on what is stored. It decides again if another program was faster. */
export interface KeyValueEdit<Result> {
  /** If another program changes one of these keys between reading and writing, the edit starts over. */
  readonly keys: readonly RecordKey[];
  /** Whether the edit raises the revision of the store. Default true. */
  readonly isCounted?: boolean;
  /** @param values those of `keys`; null for a key that does not exist. */
  decide(values: readonly (string | null)[]): { readonly writes: readonly KeyValueWrite[]; readonly result: Result };
}

/** A store of texts by key, such as etcd, ZooKeeper or memcached. Every method throws HipacheErrors of source `store`. */
export interface KeyValueClient {
  /** The values of `keys`, in their order; null for a key that does not exist. */
  read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]>;
  /** Makes all writes of an edit, or none. Resolves once every process can read them. */
  run<Result>(edit: KeyValueEdit<Result>): Promise<Result>;
  /** When the store removes a key, in epoch ms; null: never. A store whose routes do not expire has no such method. */
  expiry?(key: RecordKey): Promise<number | null>;
  /** Up to `limit` records of one kind whose patterns follow `after`, in code point order. */
  list(kind: RecordKind, after: string, limit: number): Promise<readonly { pattern: string; value: string }[]>;
}
