import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTime } from '../../../test/helpers/fake-time.ts';
import { CheckerWatch } from './checker-watch.ts';

function setUp() {
  const time = new FakeTime();
  const turns: boolean[] = [];
  const store = { value: null as unknown, fails: false, reads: 0 };
  const watch = new CheckerWatch({
    read: async () => {
      store.reads++;
      if (store.fails) throw new Error('gone');
      return store.value;
    },
    turned: (running) => void turns.push(running),
    setTimer: time.setTimer,
    now: () => time.nowMs,
  });
  return { time, turns, store, watch };
}

test('a checker runs for as long as its word is no older than 30 s', async () => {
  const { time, turns, store, watch } = setUp();
  await watch.look();
  assert.deepEqual([watch.running, turns], [false, []]);
  store.value = String(time.nowMs / 1000 - 20);
  await watch.look();
  assert.deepEqual([watch.running, turns], [true, [true]]);
  await time.pass(9_000);
  store.value = String(time.nowMs / 1000);
  await time.pass(30_000);
  assert.equal(watch.running, true, 'it was looked at again when the first word was too old');
  await time.pass(1_000);
  await turn();
  assert.deepEqual([watch.running, turns, time.pending], [false, [true, false], 0]);
});

test('nonsense and failures are no word of a checker', async () => {
  const { turns, store, watch } = setUp();
  for (const value of ['', 'now', '-5', {}, '99999999999999']) {
    store.value = value;
    await watch.look();
  }
  assert.deepEqual(turns, []);
  store.fails = true;
  await watch.look();
  assert.equal(watch.running, false);
});

test('looks that come together are two at most', async () => {
  const { store, watch } = setUp();
  await Promise.all(Array.from({ length: 10 }, () => watch.look()));
  assert.equal(store.reads, 2);
});

test('once closed no timer is left', async () => {
  const { time, store, watch } = setUp();
  store.value = String(time.nowMs / 1000);
  await watch.look();
  watch.close();
  assert.equal(time.pending, 0);
});
