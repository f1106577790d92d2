import { type Frontend, servingBackends } from '../routing/frontend.ts';

/** The cached record of one pattern. Every entry has the same shape; only its flags change in place. */
export class CacheEntry {
  readonly pattern: string;
  /** Null if the store has no record, or one without any element. */
  readonly frontend: Frontend | null;
  /** Approximate memory, in bytes. */
  readonly bytes: number;
  /** The epoch of the cache at the reading. The entry is verified while it is the current one. */
  epoch: number;
  /** Whether it was used since the clock's hand last passed. */
  used = false;
  /** Whether it was used before that. */
  wasUsed = false;
  /** Whether its objects stay although it was not among those that were used last. */
  stays = false;
  /** Whether its verification failed or takes too long. It is then served as it is until a read succeeds. */
  overdue = false;
  /** The patterns to try after this one, once a host has fallen through to them. */
  wildcards: readonly string[] | null = null;
  /** Of the pattern, in the tables of the cache. */
  hash = 0;
  /** Of its bytes; 0 if there are none. */
  place = 0;
  /** Its place in its ring. */
  slot = -1;

  constructor(pattern: string, frontend: Frontend | null, bytes: number, epoch: number) {
    this.pattern = pattern;
    this.frontend = frontend;
    this.bytes = bytes;
    this.epoch = epoch;
  }
}

/** The cost of an entry beside its record: slot, entry, key (measured, see cache-table.test.ts). */
const entryBytes = 250;
const frontendBytes = 250;
const backendBytes = 250;
const optionBytes = 100;

/** The approximate memory of an entry with this frontend, in bytes. */
export function entrySize(pattern: string, frontend: Frontend | null): number {
  let bytes = entryBytes + pattern.length;
  if (frontend === null) return bytes;
  bytes += frontendBytes + frontend.id.length;
  for (const { url } of servingBackends(frontend)) bytes += backendBytes + 2 * url.length;
  for (const { message } of frontend.problems) bytes += 50 + message.length;
  for (const [name, text] of frontend.options ?? []) bytes += optionBytes + name.length + text.length;
  return bytes;
}

/** A host is a slice of the text of a request head, which must not stay in memory as long as the host does. */
export function ownCopy(host: string): string {
  return Buffer.from(host, 'latin1').toString('latin1');
}
