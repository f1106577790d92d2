import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { StoreLocation } from './contract.suite.ts';
import type { Store } from './contract.ts';
import { describeDueNotes } from './due-notes.suite.ts';
import { Watch } from './watch.suite.ts';

/**
 * The part of the contract about notes.
 * @param stores two that are open on one place.
 * @param location of them.
 */
export function describeNotes(
  stores: () => readonly [Store, Store],
  location: () => Pick<StoreLocation, 'findsDue' | 'open'>,
): void {
  describeDueNotes(stores, () => location().findsDue ?? true);

  test('a note is written by one process and read by another, until it is removed', async () => {
    const [store, other] = stores();
    assert.equal(await store.notes.read('absent'), null);
    const text = 'Zoë {"a": 1}\n😀';
    assert.equal(await store.notes.write('some note:*.a.com', text), true);
    assert.equal(await other.notes.read('some note:*.a.com'), text);
    assert.equal(await other.notes.write('some note:*.a.com', ''), true);
    assert.equal(await store.notes.read('some note:*.a.com'), '');
    assert.equal(await store.notes.write('some note:*.a.com', null), true);
    assert.equal(await other.notes.read('some note:*.a.com'), null);
  });

  test('notes have any names, and each name is a note of its own', async () => {
    const [store, other] = stores();
    const names = [
      'a/b',
      'a%2Fb',
      'a b',
      'a%20b',
      'a\tb',
      '.',
      '..',
      '*',
      'à',
      'Ünï😀',
      'A',
      'x'.repeat(300),
      'à'.repeat(150),
    ];
    for (const name of names) assert.equal(await store.notes.write(name, `of ${name}`, { expected: null }), true, name);
    for (const name of names) {
      assert.equal(await other.notes.read(name), `of ${name}`);
      await other.notes.write(name, null);
    }
  });

  test('a note with a condition is written only if its text is the expected one', async () => {
    const [store, other] = stores();
    assert.equal(await store.notes.write('conditional', 'x', { expected: 'y' }), false);
    assert.equal(await store.notes.write('conditional', 'one', { expected: null }), true);
    assert.equal(await other.notes.write('conditional', 'two', { expected: null }), false);
    assert.equal(await other.notes.write('conditional', 'two', { expected: 'one' }), true);
    assert.equal(await store.notes.write('conditional', null, { expected: 'one' }), false);
    assert.equal(await store.notes.read('conditional'), 'two');
    assert.equal(await store.notes.write('conditional', null, { expected: 'two' }), true);
  });

  test('of 20 writers with the same condition exactly one succeeds', async () => {
    const [store, other] = stores();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? store : other).notes.write('contested', `writer ${i}`, { expected: null }),
      ),
    );
    assert.deepEqual(
      results.filter((isWritten) => isWritten),
      [true],
    );
    assert.equal(await other.notes.read('contested'), `writer ${results.indexOf(true)}`);
    await store.notes.write('contested', null);
  });

  test('a note with a time to live ends, and is then as if it had never been; each write gives it a new end', async () => {
    const [store, other] = stores();
    await store.notes.write('mortal', 'long', { ttlMs: 60_000 });
    await store.notes.write('mortal', 'short', { expected: 'long', ttlMs: 1000 });
    assert.equal(await other.notes.read('mortal'), 'short');
    await until('the end of the note', async () => (await other.notes.read('mortal')) === null);
    assert.equal(await other.notes.write('mortal', 'new', { expected: null, ttlMs: 60_000 }), true);
    assert.equal(await store.notes.write('mortal', 'kept', { expected: 'new' }), true);
    await store.notes.write('mortal', null);
  });

  test('nobody hears of notes, and they raise no revision', async () => {
    const [store, other] = stores();
    const watcher = await location().open();
    try {
      const seen = new Watch();
      await watcher.watch(seen);
      const revision = await store.instances?.revision();
      await other.notes.write('quiet', 'x');
      await other.notes.write('quiet', null);
      assert.equal(await store.instances?.revision(), revision);
      if (watcher.capabilities.changes === 'expiry') return;
      await watcher.routes.read(['loud.example']);
      const told = seen.next('routes', 'loud.example');
      await other.routes.set('loud.example', null, ['http://a:1']);
      await told;
      assert.deepEqual([seen.losses, new Set(seen.routes)], [0, new Set(['loud.example'])]);
    } finally {
      await watcher.close();
    }
  });
}
