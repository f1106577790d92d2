import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteChange, Store } from './contract.ts';
import { recordVersion } from './record-version.ts';

/** The part of the contract about several changes and their conditions. @param stores two that are open on one place. */
export function describeChanges(stores: () => readonly [Store, Store]): void {
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
}
