import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { idOf, setUp, warm } from './route-cache.suite.ts';

test('a name without a route is read again: word of its route may be on its way', async () => {
  const { cache, store } = await setUp();
  assert.equal(await warm(store, cache, 'a.b.com'), null);
  assert.equal(cache.cached('a.b.com'), null);
  store.records.set('*.b.com', ['wild', 'http://a:1']);
  const confirming = cache.confirmAbsent('a.b.com');
  await turn();
  assert.deepEqual(
    store.reads.flatMap(({ patterns }) => patterns),
    ['a.b.com', '*.b.com', '*.com', '*'],
  );
  for (const read of [...store.reads]) read.answer();
  assert.equal(idOf(await confirming), 'wild');
  assert.equal(idOf(cache.cached('a.b.com')), 'wild');
});

test('it stays without a route if there is none, or if that takes too long', async () => {
  const { cache, store, time } = await setUp();
  await warm(store, cache, 'a.com');
  store.prompt = true;
  assert.equal(await cache.confirmAbsent('a.com'), null);
  store.prompt = false;
  const confirming = cache.confirmAbsent('a.com');
  await time.pass(100);
  assert.equal(await confirming, null);
  for (const read of [...store.reads]) read.fail(new Error('too late'));
});

test('a flood of such names does not reach the store, nor does one while the store is away', async () => {
  const { cache, store, time } = await setUp();
  await warm(store, cache, 'a.com');
  store.prompt = true;
  const confirmed = () => Array.from({ length: 1000 }, () => cache.confirmAbsent('a.com')).filter((it) => it !== null);
  assert.equal(confirmed().length, 200);
  assert.equal(confirmed().length, 0);
  await time.pass(500);
  assert.equal(confirmed().length, 100);
  cache.lost();
  await time.pass(5000);
  assert.equal(cache.confirmAbsent('a.com'), null);
});
