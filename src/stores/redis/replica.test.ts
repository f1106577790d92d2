import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { describeStore } from '../contract.suite.ts';
import { Watch } from '../watch.suite.ts';
import { redisLocation } from './redis.suite.ts';
import { openRedis } from './redis-store.ts';

describeStore('redis, the pair of a replica and its primary', async () => {
  const { primary, replica } = await startPair();
  return redisLocation(replica, [replica.url, primary.url], { primary, dispose: () => primary.remove() });
});

describe('redis, a replica and its primary', () => {
  async function setUp(t: TestContext, replicaTimeoutMs = 5000) {
    const { primary, replica } = await startPair();
    t.after(() => Promise.all([primary.remove(), replica.remove()]));
    const timings = { replicaTimeoutMs, retryMaxMs: 20 };
    const store = await openRedis([replica.url, primary.url], { serving: true, timings });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    const idOf = async (pattern: string) => (await store.routes.read([pattern]))[0]?.frontend[0];
    return { primary, replica, store, seen, idOf };
  }

  test('without the primary records are read, and writing says what is wrong', async (t) => {
    const { primary, store, seen, idOf } = await setUp(t);
    await store.routes.set('a.example', 'id', ['http://a:1']);
    await primary.kill();
    assert.equal(await idOf('a.example'), 'id');
    await assert.rejects(store.routes.set('a.example', 'other', []), { code: 'STORE_UNAVAILABLE' });
    assert.equal(seen.losses, 0);
    await primary.start();
    await until('writing to succeed', () =>
      store.routes.set('b.example', 'back', ['http://b:1']).then(
        () => true,
        () => false,
      ),
    );
    await until('the replica to follow again', async () => (await idOf('b.example').catch(() => null)) === 'back');
  });

  test('a write that does not come to the replica says so', async (t) => {
    const { primary, replica, store, idOf } = await setUp(t, 200);
    await replica.cli('replicaof', 'no', 'one');
    await assert.rejects(store.routes.set('a.example', 'id', []), {
      code: 'STORE_UNAVAILABLE',
      message: /not at this replica/,
    });
    assert.equal(await primary.cli('lindex', 'frontend:a.example', '0'), 'id');
    assert.equal(await idOf('a.example'), undefined);
  });

  test('notes are written and read at the primary, also while the replica is behind', async (t) => {
    const { replica, store } = await setUp(t, 200);
    await replica.cli('replicaof', 'no', 'one');
    assert.equal(await store.notes.write('a', 'x', { expected: null }), true);
    assert.equal(await store.notes.read('a'), 'x');
    assert.equal(await store.notes.write('a', 'y', { expected: null }), false);
  });

  test('a replica that begins anew with another primary makes everything expire', async (t) => {
    const { primary, replica, store, seen, idOf } = await setUp(t);
    await store.routes.set('a.example', 'old', []);
    assert.equal(await idOf('a.example'), 'old');
    const other = await RedisServer.start();
    t.after(() => other.remove());
    await other.cli('rpush', 'frontend:a.example', 'new');
    const expired = Promise.race([seen.event('expired'), seen.event('lost')]);
    await replica.cli('replicaof', '127.0.0.1', String(other.port));
    await expired;
    await until('the record of the other primary', async () => (await idOf('a.example').catch(() => null)) === 'new');
    await primary.kill();
  });
});

async function startPair(): Promise<{ primary: RedisServer; replica: RedisServer }> {
  const primary = await RedisServer.start();
  const replica = await RedisServer.start({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
  await until('the replica to follow', async () =>
    (await replica.cli('info', 'replication')).includes('master_link_status:up'),
  );
  return { primary, replica };
}
