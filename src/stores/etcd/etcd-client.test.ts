import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { HipacheError } from '../../base/errors.ts';
import { changeEdit } from '../key-value/edits.ts';
import { keyValueNotes } from '../key-value/notes.ts';
import type { EtcdCluster } from './cluster.ts';
import { EtcdClient } from './etcd-client.ts';
import { EtcdKeys } from './keys.ts';

/** One member with the texts of keys; the replies to its first transactions that write are lost, after they are made or before. */
class FakeMember {
  readonly endpoints = { name: 'etcd' };
  readonly texts = new Map<string, string>();
  onLoss = (): void => {};
  private readonly lost: ('made' | 'unmade')[];
  private revision = 1;
  private readonly revisions = new Map<string, number>();

  constructor(...lost: ('made' | 'unmade')[]) {
    this.lost = lost;
  }

  async call(_method: string, { compare = [], success = [] }: Transaction) {
    const isWrite = success.some((operation) => operation.request_range === undefined);
    const loss = isWrite ? this.lost.shift() : undefined;
    if (loss !== 'unmade') {
      const isSame = compare.every(({ key, mod_revision }) => this.revisionOf(key) === mod_revision);
      if (!isSame) return { succeeded: false, responses: [] };
      for (const { request_put: put } of success) if (put !== undefined) this.put(put.key, put.value);
    }
    if (loss !== undefined) {
      this.onLoss();
      const cause = { code: status.UNAVAILABLE, details: 'gone' };
      throw new HipacheError('STORE_UNAVAILABLE', 'gone', { cause });
    }
    return {
      succeeded: true,
      responses: success.map(({ request_range: range }) => ({ response_range: { kvs: this.read(range?.key) } })),
    };
  }

  put(key: Buffer, value: Buffer): void {
    this.revision++;
    this.texts.set(String(key), String(value));
    this.revisions.set(String(key), this.revision);
  }

  private read(key: Buffer | undefined) {
    const value = this.texts.get(String(key));
    return value === undefined ? [] : [{ key, value: Buffer.from(value), mod_revision: this.revisionOf(String(key)) }];
  }

  private revisionOf(key: Buffer | string): string {
    return String(this.revisions.get(String(key)) ?? 0);
  }
}

interface Transaction {
  readonly compare?: readonly { readonly key: Buffer; readonly mod_revision: string }[];
  readonly success?: readonly {
    readonly request_range?: { readonly key: Buffer };
    readonly request_put?: { readonly key: Buffer; readonly value: Buffer };
  }[];
}

for (const losses of [['made'], ['unmade'], ['unmade', 'made']] as const) {
  test(`a change that requires a version is made once if replies are lost: ${losses.join(', then ')}`, async () => {
    const member = new FakeMember(...losses);
    const client = new EtcdClient(member as unknown as EtcdCluster, new EtcdKeys('/'));
    const change = (url: string) => changeEdit({ kind: 'set', pattern: 'a.example', urls: [url], ifVersion: 'none' });
    const { after } = await client.run(change('http://a:1'));
    assert.deepEqual(after, ['a.example', 'http://a:1']);
    await assert.rejects(client.run(change('http://b:1')), { code: 'CONFLICT' });
    assert.equal(member.texts.get('/frontend:a.example'), JSON.stringify(after));
  });
}

test('a note with a condition is not reported as written if a reply is lost, and another program was faster', async () => {
  const member = new FakeMember('unmade');
  const client = new EtcdClient(member as unknown as EtcdCluster, new EtcdKeys('/'));
  const key = '/hipache:note:a';
  member.onLoss = () => member.put(Buffer.from(key), Buffer.from('{"text":"other"}'));
  const notes = keyValueNotes(client, true);
  assert.equal(await notes.write('a', 'own', { expected: null }), false);
  assert.equal(await notes.read('a'), 'other');
});

test('a note with a condition is reported as written if only the reply is lost', async () => {
  const client = new EtcdClient(new FakeMember('made') as unknown as EtcdCluster, new EtcdKeys('/'));
  assert.equal(await keyValueNotes(client, true).write('a', 'own', { expected: null }), true);
});

test('a page of records that are too large for one message is shorter', async () => {
  const asked: string[] = [];
  const call = async (_method: string, { limit }: { limit: string }) => {
    asked.push(limit);
    if (Number(limit) > 2) {
      const cause = { code: status.RESOURCE_EXHAUSTED, details: 'Received message larger than max' };
      throw new HipacheError('STORE_UNAVAILABLE', 'too large', { cause });
    }
    return { kvs: [{ key: Buffer.from('/frontend:a.example'), value: Buffer.from('["a"]') }] };
  };
  const cluster = { endpoints: { name: 'etcd' }, call } as unknown as EtcdCluster;
  const client = new EtcdClient(cluster, new EtcdKeys('/'));
  assert.deepEqual(await client.list('frontend', '', 10_000), [{ pattern: 'a.example', value: '["a"]' }]);
  await client.list('frontend', 'a.example', 10_000);
  assert.deepEqual(asked, ['1000', '100', '10', '1', '2']);
});

test('pages of a listing grow as long as they come quickly, and shrink if one does not come in time', async () => {
  const asked: number[] = [];
  const call = async (_method: string, { limit }: { limit: string }) => {
    asked.push(Number(limit));
    const cause = { code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded' };
    if (Number(limit) > 3000) throw new HipacheError('STORE_UNAVAILABLE', 'does not reply', { cause });
    return { kvs: [] };
  };
  const cluster = { endpoints: { name: 'etcd' }, call } as unknown as EtcdCluster;
  const client = new EtcdClient(cluster, new EtcdKeys('/'));
  for (let page = 0; page < 3; page++) await client.list('frontend', '', 10_000);
  assert.deepEqual(asked, [1000, 2000, 4000, 400]);
});
