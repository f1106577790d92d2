import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { RedisGroup } from '../../../test/helpers/redis-group.ts';
import type { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { describeStore } from '../contract.suite.ts';
import type { Store } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { redisLocation } from './redis.suite.ts';
import { openRedis } from './redis-store.ts';

describeStore('redis, through sentinels', async () => {
  const group = await RedisGroup.start();
  return redisLocation(await group.primary(), [group.url], { dispose: () => group.remove() });
});

const timings = { connectTimeoutMs: 1000, pingEveryMs: 100, replyTimeoutMs: 500, retryFirstMs: 20, retryMaxMs: 200 };

interface Watched {
  readonly group: RedisGroup;
  readonly store: Store;
  readonly seen: Watch;
}

async function watched(t: TestContext): Promise<Watched> {
  const group = await RedisGroup.start();
  t.after(() => group.remove());
  const store = await openRedis([group.url], { serving: true, timings });
  t.after(() => store.close());
  const seen = new Watch();
  await store.watch(seen);
  await store.routes.set('a.test', null, ['http://a:1']);
  const [first, second] = group.servers as [RedisServer, RedisServer];
  await until('the replica to follow', async () => {
    const [here, there] = await Promise.all(
      [first, second].map((server) => server.cli('lrange', 'frontend:a.test', '0', '-1')),
    );
    return here !== '' && here === there;
  });
  return { group, store, seen };
}

/** A change at the new primary is reported and read, and one by this store is made there. */
async function assertLive({ group, store, seen }: Watched, former: RedisServer): Promise<void> {
  await until('another primary', async () => (await group.primary()) !== former);
  const primary = await group.primary();
  // For a moment the former primary still accepts writes, which are lost.
  await until('a write at the new primary', async () => {
    const isWritten = await store.routes.set('b.test', null, ['http://b:1']).then(
      () => true,
      () => false,
    );
    return isWritten && (await primary.cli('lrange', 'frontend:b.test', '0', '-1')).includes('http://b:1');
  });
  await until('a reading', () =>
    store.routes.read(['a.test']).then(
      ([record]) => record?.frontend[1] === 'http://a:1',
      () => false,
    ),
  );
  const told = seen.next('routes', 'a.test');
  await primary.cli('rpush', 'frontend:a.test', 'http://c:1');
  await told;
  assert.equal((await store.routes.read(['a.test']))[0]?.frontend[2], 'http://c:1');
  assert.ok(seen.losses > 0);
  assert.equal(seen.losses, seen.restorations);
}

describe('a group of Redis servers with sentinels', () => {
  test('is followed to the new primary after the primary has died', async (t) => {
    const rig = await watched(t);
    const former = await rig.group.primary();
    await former.kill();
    await assertLive(rig, former);
  });

  test('is followed to the new primary after the primary has hung', async (t) => {
    const rig = await watched(t);
    const former = await rig.group.primary();
    former.freeze();
    await assertLive(rig, former);
    former.thaw();
  });

  test('is followed to the new primary after a fail-over by hand', async (t) => {
    const rig = await watched(t);
    const former = await rig.group.primary();
    await rig.group.failOver();
    await assertLive(rig, former);
  });

  test('that the sentinels do not know, and sentinels that are not there, have different errors', async (t) => {
    const group = await RedisGroup.start();
    t.after(() => group.remove());
    await assert.rejects(openRedis([group.url.replace(/routes$/, 'other')]), {
      code: 'STORE_UNAVAILABLE',
      message: /knows no group "other"/,
    });
    await assert.rejects(openRedis(['redis+sentinel://127.0.0.1:1,127.0.0.1:2/routes']), {
      code: 'STORE_UNAVAILABLE',
      message: /the sentinel 127\.0\.0\.1:[12]/,
    });
  });
});
