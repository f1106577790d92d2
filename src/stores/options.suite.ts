import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store, StoreCapabilities } from './contract.ts';
import { Watch } from './watch.suite.ts';

/** The place of the stores, as far as options need it. */
interface OptionLocation {
  open(): Promise<Store>;
  writeRawOption(pattern: string, name: string, value: string): Promise<void>;
  readonly writeBrokenOptions: readonly ((pattern: string) => Promise<void>)[];
  readonly changes: StoreCapabilities['changes'];
  readonly lists?: boolean;
}

/**
 * The part of the contract about options.
 * @param stores two that are open on one place.
 */
export function describeOptions(stores: () => readonly [Store, Store], place: () => OptionLocation): void {
  const change = (store: Store, pattern: string, changes: Readonly<Record<string, string | null>>) =>
    store.options.change(pattern, new Map(Object.entries(changes)));
  const optionsOf = async (store: Store, pattern: string): Promise<Record<string, string> | null> => {
    const [stored = null] = await store.options.read([pattern]);
    return stored === null ? null : Object.fromEntries(stored.options);
  };

  test('a pattern without options has null, and its route none', async () => {
    const [store] = stores();
    await store.routes.set('no-options.example', null, ['http://a:1']);
    assert.deepEqual(await store.options.read(['no-options.example', 'absent.example']), [null, null]);
    assert.deepEqual(await store.options.read([]), []);
    assert.equal((await store.routes.read(['no-options.example']))[0]?.options, undefined);
  });

  test('options are set and removed one by one, and come with the route', async () => {
    const [store, other] = stores();
    await store.routes.set('options.example', null, ['http://a:1']);
    const set = await change(store, 'options.example', { balance: 'random', tunnelsMax: '7' });
    assert.deepEqual([set.before.size, Object.fromEntries(set.after)], [0, { balance: 'random', tunnelsMax: '7' }]);
    assert.deepEqual(await optionsOf(other, 'options.example'), { balance: 'random', tunnelsMax: '7' });
    const [route] = await other.routes.read(['options.example']);
    assert.deepEqual(route?.frontend, ['options.example', 'http://a:1']);
    assert.deepEqual(Object.fromEntries(route?.options ?? []), { balance: 'random', tunnelsMax: '7' });
    await change(other, 'options.example', { balance: null, requestsMax: '3', absent: null });
    assert.deepEqual(await optionsOf(store, 'options.example'), { requestsMax: '3', tunnelsMax: '7' });
    const gone = await change(store, 'options.example', { requestsMax: null, tunnelsMax: null });
    assert.equal(gone.after.size, 0);
    assert.equal(await optionsOf(other, 'options.example'), null);
    assert.equal((await other.routes.read(['options.example']))[0]?.options, undefined);
  });

  test('a pattern may have options without a route: its record is then empty', async () => {
    const [store, other] = stores();
    await change(store, '*.options.example', { balance: 'random' });
    const [record] = await other.routes.read(['*.options.example']);
    assert.deepEqual([record?.frontend, record?.problem], [[], undefined]);
    assert.deepEqual(record?.options, new Map([['balance', 'random']]));
    await store.routes.set('*.options.example', null, ['http://a:1']);
    assert.equal((await other.routes.read(['*.options.example']))[0]?.frontend.length, 2);
    await store.routes.remove('*.options.example', []);
    assert.deepEqual(await optionsOf(other, '*.options.example'), { balance: 'random' });
    await change(store, '*.options.example', { balance: null });
    assert.deepEqual(await other.routes.read(['*.options.example']), [null]);
  });

  test('changes by many at once lose nothing', async () => {
    const [store, other] = stores();
    const names = Array.from({ length: 20 }, (_, i) => `option${i}`);
    await Promise.all(
      names.map((name, i) => change(i % 2 === 0 ? store : other, 'many.example', { [name]: String(i) })),
    );
    assert.deepEqual(Object.keys((await optionsOf(store, 'many.example')) ?? {}).toSorted(), names.toSorted());
  });

  test('any text is an option, and comes back as it was written', async () => {
    const [store, other] = stores();
    const odd = { 'Näme "x"': 'Zoë \\ \n 😀 {}', __proto__x: '', empty: '' };
    await change(store, 'odd-options.example', odd);
    assert.deepEqual(await optionsOf(other, 'odd-options.example'), odd);
  });

  test('records are put whole, and listed in code point order, page by page', async () => {
    const [store, other] = stores();
    const patterns = ['*', '*.put.example', 'put-a.example', 'put-b.example', 'put-ä.example'];
    const records = patterns.map((pattern, i) => ({ pattern, options: new Map([['requestsMax', String(i + 1)]]) }));
    await change(store, 'put-a.example', { tunnelsMax: '1' });
    await store.options.put(records);
    for (const { pattern, options } of records) {
      assert.deepEqual(await optionsOf(other, pattern), Object.fromEntries(options));
    }
    if (place().lists === false) {
      await assert.rejects(store.options.list('', 1), { code: 'STORE_UNSUPPORTED', message: /cannot list/ });
    } else {
      const seen: string[] = [];
      for (let after = ''; ; after = seen.at(-1) ?? '') {
        const page = await other.options.list(after, 2);
        assert.ok(page.length <= 2);
        if (page.length === 0) break;
        for (const { pattern, options } of page) {
          seen.push(pattern);
          if (patterns.includes(pattern))
            assert.equal(options.get('requestsMax'), String(patterns.indexOf(pattern) + 1));
        }
      }
      assert.deepEqual(
        seen.filter((pattern) => patterns.includes(pattern)),
        patterns,
      );
      assert.equal(new Set(seen).size, seen.length);
    }
    await store.options.put(patterns.map((pattern) => ({ pattern, options: new Map() })));
    assert.deepEqual(
      await other.options.read(patterns),
      patterns.map(() => null),
    );
  });

  test('an option that another program has written is read', async () => {
    const [store, other] = stores();
    await store.routes.set('raw-options.example', null, ['http://a:1']);
    await place().writeRawOption('raw-options.example', 'balance', 'random');
    assert.deepEqual(await optionsOf(store, 'raw-options.example'), { balance: 'random' });
    await change(other, 'raw-options.example', { requestsMax: '1' });
    assert.deepEqual(await optionsOf(store, 'raw-options.example'), { balance: 'random', requestsMax: '1' });
    await change(store, 'raw-options.example', { balance: null, requestsMax: null });
  });

  test('options that cannot be read say so, harm no route, and can be replaced', async () => {
    const [store] = stores();
    for (const write of place().writeBrokenOptions) {
      await store.routes.set('broken-options.example', null, ['http://a:1']);
      await write('broken-options.example');
      const [route] = await store.routes.read(['broken-options.example']);
      assert.deepEqual(route?.frontend, ['broken-options.example', 'http://a:1'], String(write));
      assert.equal(route?.problem, undefined);
      assert.match(route?.diagnostics?.join() ?? '', /options/);
      assert.equal((await store.options.read(['broken-options.example']))[0]?.problems.length, 1);
      await change(store, 'broken-options.example', { balance: 'random' });
      assert.deepEqual(await optionsOf(store, 'broken-options.example'), { balance: 'random' });
      await change(store, 'broken-options.example', { balance: null });
    }
  });

  test('a change of options by any process is reported to a watcher, and raises the revision', async (t) => {
    const [store, other] = stores();
    const watcher = await place().open();
    t.after(() => watcher.close());
    const seen = new Watch();
    await watcher.watch(seen);
    const steps = [
      () => change(store, 'told-options.example', { balance: 'random' }),
      () => change(other, 'told-options.example', { balance: 'first' }),
      () => other.options.put([{ pattern: 'told-options.example', options: new Map([['requestsMax', '1']]) }]),
      () => change(store, 'told-options.example', { requestsMax: null }),
    ];
    for (const step of steps) {
      await watcher.routes.read(['told-options.example']);
      const revision = await store.instances?.revision();
      const told = place().changes === 'expiry' ? seen.event('expired') : seen.next('options', 'told-options.example');
      await step();
      await told;
      if (revision !== undefined) assert.ok(((await other.instances?.revision()) ?? 0) > revision);
    }
    await place().writeRawOption('told-options.example', 'balance', 'random');
    assert.equal(seen.losses, 0);
    await change(store, 'told-options.example', { balance: null });
  });
}
