import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { RouteChange, Store } from './contract.ts';
import { recordVersion } from './record-version.ts';
import { Watch } from './watch.suite.ts';

/**
 * The part of the contract about several changes, their conditions, and routes that expire.
 * @param stores two that are open on one place.
 * @param openWatcher another one.
 */
export function describeChanges(stores: () => readonly [Store, Store], openWatcher: () => Promise<Store>): void {
  test('changes of several records are made at once, or none of them', async () => {
    const [store, other] = stores();
    await store.routes.set('several-b.example', 'b', ['http://a:1', 'http://b:1']);
    await store.routes.set('several-c.example', 'c', ['http://a:1']);
    const changes: RouteChange[] = [
      { kind: 'set', pattern: 'several-a.example', urls: ['http://a:1'], id: 'a' },
      { kind: 'add', pattern: 'several-b.example', urls: ['http://c:1'] },
      { kind: 'remove', pattern: 'several-c.example', urls: [] },
    ];
    const patterns = changes.map(({ pattern }) => pattern);
    const records = async () => (await other.routes.read(patterns)).map((record) => record?.frontend ?? null);
    const before = await records();
    assert.deepEqual(await store.routes.apply([]), []);
    const most = store.capabilities.changesPerTransaction;
    if (most < changes.length) {
      await assert.rejects(store.routes.apply(changes), { code: 'STORE_UNSUPPORTED', message: /one by one/ });
      assert.deepEqual(await records(), before);
      return;
    }
    const failing = { ...changes[1], ifVersion: 'none' } as RouteChange;
    await assert.rejects(store.routes.apply([changes[0] as RouteChange, failing, changes[2] as RouteChange]), {
      code: 'CONFLICT',
      source: 'store',
      message: /^several-b\.example: the change requires no route, but it has version [0-9a-f]{16}; nothing/,
    });
    assert.deepEqual(await records(), before);
    const after = [['a', 'http://a:1'], ['b', 'http://a:1', 'http://b:1', 'http://c:1'], null];
    assert.deepEqual(
      await store.routes.apply(changes),
      after.map((record, i) => ({ before: before[i], after: record })),
    );
    assert.deepEqual(await records(), after);
  });

  test('as many changes as a transaction holds are made, and more are refused before anything is written', async () => {
    const [store, other] = stores();
    const most = Math.min(store.capabilities.changesPerTransaction, 300);
    const changes = (count: number): RouteChange[] =>
      Array.from({ length: count }, (_, i) => ({ kind: 'set', pattern: `most-${i}.example`, urls: ['http://a:1'] }));
    if (most === store.capabilities.changesPerTransaction) {
      await assert.rejects(store.routes.apply(changes(most + 1)), { code: 'STORE_UNSUPPORTED' });
      assert.deepEqual(await store.routes.read(['most-0.example']), [null]);
    }
    const outcomes = await store.routes.apply(changes(most));
    assert.equal(outcomes.length, most);
    const last = `most-${most - 1}.example`;
    assert.deepEqual((await other.routes.read([last]))[0]?.frontend, [last, 'http://a:1']);
    // With marks, a removal takes more operations.
    const mark = { untilMs: Date.now() + 60_000, sinceMs: Date.now(), reason: 'x', instance: 'suite' };
    for (let i = 0; i < Math.min(most, 42); i++) await store.marks.write(`most-${i}.example`, 'http://a:1', mark);
    const removals = changes(most).map((change) => ({ ...change, kind: 'remove' as const, urls: [] }));
    await other.routes.apply(removals);
    assert.deepEqual(await store.routes.read([last]), [null]);
  });

  test('a change that requires a version is made if the record has it, and otherwise not', async () => {
    const [store, other] = stores();
    const change = (urls: readonly string[], ifVersion: string): RouteChange => ({
      kind: 'set',
      pattern: 'version.example',
      urls,
      ifVersion,
    });
    const conflict = { code: 'CONFLICT', message: /^version\.example: the change requires .*nothing is written/ };
    await assert.rejects(store.routes.apply([change(['http://x:1'], '0123456789abcdef')]), conflict);
    const [first] = await store.routes.apply([change(['http://a:1'], 'none')]);
    await assert.rejects(other.routes.apply([change(['http://x:1'], 'none')]), conflict);
    const [read] = await other.routes.read(['version.example']);
    assert.equal(recordVersion(read?.frontend ?? null), recordVersion(first?.after ?? null));
    await other.routes.apply([change(['http://b:1'], recordVersion(first?.after ?? null))]);
    assert.deepEqual((await store.routes.read(['version.example']))[0]?.frontend, ['version.example', 'http://b:1']);
  });

  test('of 20 writers that require the same version exactly one succeeds, and none fails another', async () => {
    const [store, other] = stores();
    for (const start of ['none', 'a record'] as const) {
      const pattern = `race-${start.slice(-4)}.example`;
      if (start !== 'none') await store.routes.set(pattern, null, ['http://start:1']);
      const [old] = await store.routes.read([pattern]);
      const ifVersion = recordVersion(old?.frontend ?? null);
      const bystanders = Array.from({ length: 5 }, (_, i) => store.routes.add(`beside-${i}.example`, ['http://a:1']));
      const attempts = await Promise.allSettled(
        Array.from({ length: 20 }, async (_, i) => {
          const writer = i % 2 === 0 ? store : other;
          const urls = [`http://h${i}:1`];
          const [outcome] = await writer.routes.apply([{ kind: 'set', pattern, urls, ifVersion }]);
          return outcome?.after;
        }),
      );
      await Promise.all(bystanders);
      const made = attempts.filter((attempt) => attempt.status === 'fulfilled');
      const codes = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason.code] : []));
      assert.deepEqual(
        codes,
        Array.from({ length: 19 }, () => 'CONFLICT'),
      );
      assert.deepEqual((await other.routes.read([pattern]))[0]?.frontend, made[0]?.value);
    }
  });

  test('a route with a time to live expires, which watchers hear of, and an edit keeps its end', async () => {
    const [store, other] = stores();
    const pattern = 'expiring.example';
    const set = (ttlSeconds: number | null) =>
      store.routes.apply([{ kind: 'set', pattern, urls: ['http://a:1'], ttlSeconds }]);
    const present = async () => (await other.routes.read([pattern]))[0] !== null;
    if (!store.capabilities.expires) {
      await assert.rejects(set(1), { code: 'STORE_UNSUPPORTED', message: /routes do not expire in this store/ });
      assert.equal(await present(), false);
      return;
    }
    const watcher = await openWatcher();
    try {
      const seen = new Watch();
      await watcher.watch(seen);
      await set(3600);
      await other.routes.add(pattern, ['http://b:1']);
      const kept = ((await other.routes.expiry(pattern)) ?? 0) - Date.now();
      assert.ok(kept > 3_500_000 && kept < 3_602_000, String(kept));
      await set(null);
      assert.equal(await other.routes.expiry(pattern), null);
      await set(2);
      await store.routes.add(pattern, ['http://b:1', 'http://c:1']);
      await other.routes.remove(pattern, ['http://c:1']);
      const [record] = await watcher.routes.read([pattern]);
      assert.deepEqual(record?.frontend, [pattern, 'http://a:1', 'http://b:1']);
      const before = seen.routes.filter((key) => key === pattern).length;
      await until('its end', async () => !(await present()));
      if (watcher.capabilities.changes !== 'expiry') {
        await until('word of it', () => seen.routes.filter((key) => key === pattern).length > before);
      }
      await store.routes.set(pattern, null, ['http://a:1']);
      assert.equal(await other.routes.expiry(pattern), null);
    } finally {
      await watcher.close();
    }
  });

  test('the end of a route goes with the route', async () => {
    const [store, other] = stores();
    if (!store.capabilities.expires) return;
    const pattern = 'removed-before.example';
    await store.routes.apply([{ kind: 'set', pattern, urls: ['http://a:1'], ttlSeconds: 3600 }]);
    await other.routes.remove(pattern, []);
    assert.equal(await store.routes.expiry(pattern), null);
    await store.routes.add(pattern, ['http://a:1']);
    assert.equal(await store.routes.expiry(pattern), null);
    await store.routes.apply([{ kind: 'set', pattern, urls: ['http://a:1'], ttlSeconds: 3600 }]);
    await other.routes.put([{ pattern, frontend: ['p', 'http://b:1'] }]);
    assert.equal(await store.routes.expiry(pattern), null);
  });
}
