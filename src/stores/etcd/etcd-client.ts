import { setTimeout as delay } from 'node:timers/promises';
import { backOffMs } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { KeyedQueue } from '../../base/keyed-queue.ts';
import type { KeyValueClient, KeyValueEdit, KeyValueWrite, RecordKey, RecordKind } from '../key-value/client.ts';
import type { EtcdCluster } from './cluster.ts';
import { isLate, isMemberFailure, isTooLarge } from './errors.ts';
import type { EtcdKeys, KeyRange } from './keys.ts';
import { type EtcdKeyValue, type EtcdOperation, hasRevision } from './protocol.ts';

/** Operations of one transaction: etcd's own limit, `--max-txn-ops`, is 128 by default. */
const operationsMax = 100;
/** Each change of a route compares and writes up to three keys, and the revision is one operation more: 127 of 128. */
export const changesPerTransaction = 42;
/** Attempts of one edit, of which all but the last were overtaken by other programs, or had an unknown outcome. */
const attemptsMax = 50;
/** Records that are listed at once, at first. The number is doubled after a page that took no longer than this, in ms. */
const firstPageSize = 1000;
const quickPageMs = 300;
const pauses = { firstMs: 1, longestMs: 100, spread: [0, 1] as const };

/** The state that an edit is based on. */
interface Seen {
  readonly values: readonly (string | null)[];
  /** The revisions at which the keys were written; 0 for one that does not exist. */
  readonly revisions: readonly string[];
}

/** Texts in an etcd cluster. Reads are linearizable: they have every write that was acknowledged before them. */
export class EtcdClient implements KeyValueClient {
  private readonly cluster: EtcdCluster;
  private readonly keys: EtcdKeys;
  private readonly queue = new KeyedQueue();
  private pageSize = firstPageSize;

  constructor(cluster: EtcdCluster, keys: EtcdKeys) {
    this.cluster = cluster;
    this.keys = keys;
  }

  async read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]> {
    return (await this.look(keys)).values;
  }

  /** Edits of one key by this process wait for each other, so that they do not overtake each other again and again. */
  run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    const [first] = edit.keys;
    return first === undefined ? this.attempt(edit) : this.queue.run(first, () => this.attempt(edit));
  }

  async list(kind: RecordKind, after: string, limit: number): Promise<readonly { pattern: string; value: string }[]> {
    const { start, end } = this.keys.range(kind);
    const key = after === '' ? start : Buffer.concat([this.keys.of(`${kind}:${after}`), Buffer.of(0)]);
    for (;;) {
      const count = Math.min(limit, this.pageSize);
      const startMs = performance.now();
      try {
        const { kvs } = await this.cluster.call('range', { key, range_end: end, limit: String(count) }, true);
        if (count === this.pageSize && performance.now() - startMs < quickPageMs) this.pageSize *= 2;
        return kvs.map((kv) => ({ pattern: this.keys.parse(kv.key)?.pattern ?? '', value: kv.value.toString() }));
      } catch (error) {
        const cause = error instanceof HipacheError ? error.cause : null;
        const isTooMuch = isTooLarge(cause) || (isLate(cause) && count > firstPageSize);
        if (count === 1 || !isTooMuch) throw error;
        this.pageSize = Math.ceil(count / 10);
      }
    }
  }

  async expiry(name: RecordKey): Promise<number | null> {
    const { kvs } = await this.cluster.call('range', { key: this.keys.of(name) }, true);
    const lease = kvs[0]?.lease ?? '0';
    if (lease === '0') return null;
    const { TTL } = await this.cluster.call('leaseTimeToLive', { ID: lease }, true);
    return Date.now() + Math.max(0, Number(TTL)) * 1000;
  }

  /** The revision of the last write of Hipache's; 0 before the first. */
  async revision(): Promise<number> {
    const { kvs } = await this.cluster.call('range', { key: this.keys.revision }, true);
    return Number(kvs[0]?.mod_revision ?? 0);
  }

  /** All keys of a range, with their texts. */
  async readAll({ start, end }: KeyRange): Promise<readonly { key: string; value: string }[]> {
    const { kvs } = await this.cluster.call('range', { key: start, range_end: end }, true);
    return kvs.map(({ key, value }) => ({ key: key.toString(), value: value.toString() }));
  }

  /** A key that the cluster forgets after `ttlMs`, unless it is written again. */
  async putFor(key: Buffer, value: string, ttlMs: number): Promise<void> {
    const lease = await this.lease(ttlMs);
    await this.commit([], [{ request_put: { key, value: Buffer.from(value), lease } }], true);
  }

  async remove(key: Buffer): Promise<void> {
    await this.commit([], [{ request_delete_range: { key } }], true);
  }

  private async attempt<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    /** Of an attempt whose outcome is not known. If it was made, nothing is left to write. */
    let unknown: { readonly writes: readonly KeyValueWrite[]; readonly result: Result } | null = null;
    for (let attempt = 1; ; attempt++) {
      const seen = await this.look(edit.keys);
      let decision: ReturnType<typeof edit.decide>;
      try {
        decision = edit.decide(seen.values);
      } catch (error) {
        // The attempt may have changed the version that the edit requires.
        if (unknown !== null && isMade(unknown.writes, edit.keys, seen)) return unknown.result;
        throw error;
      }
      const { writes, result } = decision;
      if (writes.length === 0) return unknown === null ? result : unknown.result;
      try {
        if (await this.write(edit, seen, writes)) return result;
      } catch (error) {
        if (attempt === attemptsMax || !(error instanceof HipacheError) || !isMemberFailure(error.cause)) throw error;
        unknown = { writes, result };
      }
      if (attempt === attemptsMax) {
        const problem = `another program has changed the record ${attemptsMax} times meanwhile`;
        throw new HipacheError('STORE_BUSY', `${this.cluster.endpoints.name}: ${problem}`);
      }
      await delay(backOffMs(pauses, attempt));
    }
  }

  /** @returns false if another program was faster. */
  private async write(
    { keys, isCounted = true }: KeyValueEdit<unknown>,
    { revisions }: Seen,
    writes: readonly KeyValueWrite[],
  ): Promise<boolean> {
    const compare = keys.map((key, i) => hasRevision(this.keys.of(key), revisions[i] ?? '0'));
    const operations: EtcdOperation[] = [];
    for (const { key: name, value, ttlMs, keepsEnd = false } of writes) {
      const key = this.keys.of(name);
      if (value === null) operations.push({ request_delete_range: { key } });
      else {
        const lease = ttlMs === undefined ? {} : { lease: await this.lease(ttlMs) };
        operations.push({ request_put: { key, value: Buffer.from(value), ...lease, ignore_lease: keepsEnd } });
      }
    }
    if (isCounted) operations.push({ request_put: { key: this.keys.revision, value: Buffer.alloc(0) } });
    return this.commit(compare, operations, false);
  }

  private async commit(
    compare: readonly ReturnType<typeof hasRevision>[],
    success: readonly EtcdOperation[],
    isRepeatable: boolean,
  ): Promise<boolean> {
    const { succeeded } = await this.cluster.call('txn', { compare, success }, isRepeatable);
    return succeeded;
  }

  private async lease(ttlMs: number): Promise<string> {
    const { ID } = await this.cluster.call('leaseGrant', { TTL: String(Math.ceil(ttlMs / 1000)) }, true);
    return ID;
  }

  private async look(keys: readonly RecordKey[]): Promise<Seen> {
    const values: (string | null)[] = [];
    const revisions: string[] = [];
    for (let from = 0; from < keys.length; from += operationsMax) {
      const page = keys.slice(from, from + operationsMax);
      const success = page.map((key) => ({ request_range: { key: this.keys.of(key) } }));
      const { responses } = await this.cluster.call('txn', { compare: [], success }, true);
      for (const [i] of page.entries()) {
        const found: EtcdKeyValue | undefined = responses[i]?.response_range?.kvs[0];
        values.push(found?.value.toString() ?? null);
        revisions.push(found?.mod_revision ?? '0');
      }
    }
    return { values, revisions };
  }
}

/** Whether the keys have the values that were to be written. */
function isMade(writes: readonly KeyValueWrite[], keys: readonly RecordKey[], { values }: Seen): boolean {
  return writes.every(({ key, value }) => keys.includes(key) && values[keys.indexOf(key)] === value);
}
