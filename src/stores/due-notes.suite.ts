import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from './contract.ts';

/**
 * The part of the contract about notes that are due.
 * @param stores two that are open on one place. @param findsDue whether they can tell.
 */
export function describeDueNotes(stores: () => readonly [Store, Store], findsDue: () => boolean): void {
  test('notes are found when their time has come, the earliest first', async () => {
    const [store, other] = stores();
    const nowMs = Date.now();
    if (!findsDue()) {
      await assert.rejects(store.notes.due(nowMs, 1), { code: 'STORE_UNSUPPORTED' });
      return;
    }
    const dueNames = async (atMs: number, limit = 10) => (await other.notes.due(atMs, limit)).map(({ name }) => name);
    assert.deepEqual(await store.notes.due(nowMs, 10), []);
    const times = { 'order:b.com': -1, 'order:*.à': -3000, 'order:c.com': 5000, 'order:d.com': -2000.5 };
    for (const [name, offset] of Object.entries(times)) {
      assert.equal(await store.notes.write(name, `of ${name}`, { dueMs: nowMs + offset }), true);
    }
    assert.deepEqual(await dueNames(nowMs), ['order:*.à', 'order:d.com', 'order:b.com']);
    assert.deepEqual(await other.notes.due(nowMs, 1), [{ name: 'order:*.à', text: 'of order:*.à' }]);
    assert.deepEqual((await dueNames(nowMs + 10_000)).at(-1), 'order:c.com');
    // A later time counts in place of the former one; without one, it stays; a condition that fails changes nothing.
    await other.notes.write('order:*.à', 'later', { dueMs: nowMs + 9000 });
    await other.notes.write('order:d.com', 'same time');
    assert.equal(await other.notes.write('order:b.com', 'x', { expected: 'y', dueMs: nowMs + 9000 }), false);
    assert.deepEqual(await other.notes.due(nowMs, 10), [
      { name: 'order:d.com', text: 'same time' },
      { name: 'order:b.com', text: 'of order:b.com' },
    ]);
    // A note that is removed is not due, also after it is written again.
    await store.notes.write('order:d.com', null);
    await store.notes.write('order:b.com', null);
    await store.notes.write('order:b.com', 'again');
    assert.deepEqual(await dueNames(nowMs), []);
    for (const name of Object.keys(times)) await store.notes.write(name, null);
    assert.deepEqual(await dueNames(nowMs + 10_000), []);
  });

  test('many notes are due a few at a time', async () => {
    if (!findsDue()) return;
    const [store, other] = stores();
    const names = Array.from({ length: 60 }, (_, i) => `many:${String(i).padStart(2, '0')}`);
    await Promise.all(names.map((name, i) => store.notes.write(name, 'x', { dueMs: 1000 + i })));
    const seen: string[] = [];
    for (let rounds = 0; rounds < 10; rounds++) {
      const page = await other.notes.due(1050, 20);
      if (page.length === 0) break;
      seen.push(...page.map(({ name }) => name));
      await Promise.all(page.map(({ name }) => store.notes.write(name, 'x', { dueMs: 5000 })));
    }
    assert.deepEqual(seen, names.slice(0, 51));
    await Promise.all(names.map((name) => store.notes.write(name, null)));
    assert.deepEqual(await other.notes.due(1e12, 10), []);
  });
}
