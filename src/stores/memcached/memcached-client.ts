import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { backOffMs } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { KeyedQueue } from '../../base/keyed-queue.ts';
import type { KeyValueClient, KeyValueEdit, KeyValueWrite, RecordKey } from '../key-value/client.ts';
import { MemcachedConnection, type MemcachedItem, type MemcachedTimings } from './connection.ts';
import type { MemcachedPool } from './endpoints.ts';
import { KeyRing } from './key-ring.ts';

/** Longest key, in bytes. */
const keyBytesMax = 250;
/** The flag with which Hipache 0.4's client marks values that are JSON. */
const jsonFlag = 2;
/** A longer expiry is a date to memcached, both in seconds. */
const expirySecondsMax = 30 * 24 * 3600;
const attemptsMax = 50;
const pauses = { firstMs: 1, longestMs: 100, spread: [0, 1] as const };

/**
 * Texts in a pool of memcached servers. The first key of an edit is compared and written in one step. Further keys
 * follow, each by itself, since memcached has no transactions: an edit that is interrupted may leave marks of backends
 * that are no longer in the record, which have no effect.
 */
export class MemcachedClient implements KeyValueClient {
  private readonly pool: MemcachedPool;
  private readonly ring: KeyRing;
  private readonly servers: readonly MemcachedConnection[];
  private readonly queue = new KeyedQueue();

  constructor(pool: MemcachedPool, timings: MemcachedTimings) {
    this.pool = pool;
    this.ring = new KeyRing(pool.servers);
    this.servers = pool.servers.map((server) => new MemcachedConnection(server, pool.tls, timings));
  }

  async read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]> {
    return (await this.look(keys)).map((item) => item?.value ?? null);
  }

  run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    const [first] = edit.keys;
    return first === undefined ? this.attempt(edit) : this.queue.run(first, () => this.attempt(edit));
  }

  async expiry(key: RecordKey): Promise<number | null> {
    const name = this.nameOf(key);
    const ttlSeconds = await this.serverOf(name).ttlSeconds(name);
    return ttlSeconds === null ? null : Date.now() + ttlSeconds * 1000;
  }

  async list(): Promise<never> {
    throw new HipacheError(
      'STORE_UNSUPPORTED',
      `${this.pool.name}: memcached cannot list its keys; keep the routes in another store as well, or see docs/memcached.md`,
    );
  }

  /** Asks every server. @throws HipacheError if one of them does not reply. */
  async check(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.gets(['hipache:check'])));
  }

  close(): void {
    for (const server of this.servers) server.close();
  }

  private async attempt<Result>({ keys, decide }: KeyValueEdit<Result>): Promise<Result> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const items = await this.look(keys);
      const { writes, result } = decide(items.map((item) => item?.value ?? null));
      if (await this.write(keys, items, writes)) return result;
      await delay(backOffMs(pauses, attempt));
    }
    throw this.busy();
  }

  private busy(): HipacheError {
    const problem = `another program has changed the record ${attemptsMax} times meanwhile`;
    return new HipacheError('STORE_BUSY', `${this.pool.name}: ${problem}`);
  }

  /** @returns false if another program was faster. */
  private async write(
    keys: readonly RecordKey[],
    items: readonly (MemcachedItem | null)[],
    writes: readonly KeyValueWrite[],
  ): Promise<boolean> {
    const [first, ...others] = writes;
    if (first === undefined) return true;
    const at = keys.indexOf(first.key);
    const item = at === -1 ? await this.lookOne(first.key) : (items[at] ?? null);
    if (!(await this.writeOne(first, item))) return false;
    for (const write of others) await this.replace(write);
    return true;
  }

  /** Writes whatever is stored. */
  private async replace(write: KeyValueWrite): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      if (await this.writeOne(write, await this.lookOne(write.key))) return;
    }
    throw this.busy();
  }

  private async writeOne(
    { key, value, ttlMs, keepsEnd = false }: KeyValueWrite,
    item: MemcachedItem | null,
  ): Promise<boolean> {
    const name = this.nameOf(key);
    const server = this.serverOf(name);
    if (value === null) {
      if (item === null) return true;
      // Compared first, so that a change by another program is not deleted unseen.
      const expired = { flags: jsonFlag, expirySeconds: -1, unique: item.unique };
      return server.store(name, '', expired);
    }
    // The server counts whole seconds, the present one as well: without one more, an item would end too early.
    const ttlSeconds = ttlMs === undefined ? null : Math.ceil(ttlMs / 1000) + 1;
    const expirySeconds = expiryOf(keepsEnd ? await server.ttlSeconds(name) : ttlSeconds);
    return server.store(name, value, { flags: jsonFlag, expirySeconds, unique: item?.unique ?? null });
  }

  private async lookOne(key: RecordKey): Promise<MemcachedItem | null> {
    const [item = null] = await this.look([key]);
    return item;
  }

  /** Items in the order of the keys; one request to each server. */
  private async look(keys: readonly RecordKey[]): Promise<(MemcachedItem | null)[]> {
    const names = keys.map((key) => this.nameOf(key));
    const byServer = new Map<MemcachedConnection, Set<string>>();
    for (const name of names) {
      const server = this.serverOf(name);
      const asked = byServer.get(server) ?? new Set();
      byServer.set(server, asked.add(name));
    }
    const found = await Promise.all([...byServer].map(([server, asked]) => server.gets([...asked])));
    const items = new Map(found.flatMap((one) => [...one]));
    return names.map((name) => items.get(name) ?? null);
  }

  private serverOf(name: string): MemcachedConnection {
    const at = this.servers.length === 1 ? 0 : this.ring.serverOf(name);
    return this.servers[at] as MemcachedConnection;
  }

  /** A key that is too long is replaced by its digest, as Hipache 0.4's client does. */
  nameOf(key: RecordKey): string {
    const name = this.pool.prefix + (key.startsWith('hipache:note:') ? encodeName(key) : key);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the protocol separates keys by them.
    if (/[\x00-\x20\x7f]/.test(name)) {
      throw new HipacheError(
        'STORE_UNSUPPORTED',
        `${this.pool.name}: a key of memcached has no blanks: ${JSON.stringify(key)}`,
      );
    }
    return Buffer.byteLength(name) > keyBytesMax ? createHash('md5').update(name).digest('hex') : name;
  }
}

/** Names of notes are any text; in a key, only visible ASCII is safe. */
function encodeName(key: string): string {
  return key.toWellFormed().replace(/[^\x21-\x7e]|%/gu, encodeURIComponent);
}

/** The expiry of an item, which memcached reads as a date if it is far away. */
function expiryOf(ttlSeconds: number | null): number {
  if (ttlSeconds === null) return 0;
  if (ttlSeconds > expirySecondsMax) return Math.floor(Date.now() / 1000) + ttlSeconds;
  return Math.max(1, ttlSeconds);
}
