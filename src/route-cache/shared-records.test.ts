import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { StoredRoute } from '../stores/contract.ts';
import { KnownRecords, routeText } from './known-records.ts';
import { idOf, setUp, warm } from './route-cache.suite.ts';
import { SharedRecords } from './shared-records.ts';

const route = (id: string): StoredRoute => ({ frontend: [id, 'http://1:1'], down: new Map() });

/** A worker's shared records, and what the primary keeps of them. */
function shareWith(kept = new KnownRecords(1_000_000)) {
  const time = new FakeTime();
  let asked = 0;
  const shared = new SharedRecords({
    report: (records) => kept.add(records),
    ask: () => {
      asked++;
      for (const chunk of kept.chunks(1)) shared.take(chunk, false);
      shared.take([], true);
    },
    setTimer: time.setTimer,
  });
  return { kept, time, shared, asked: () => asked };
}

test('records that were read are reported together, the latest of each', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.routeRead('a.com', route('2'));
  shared.certificateRead('a.com', { certificate: 'c', key: 'k' });
  assert.equal(kept.size, 0);
  await time.pass(50);
  assert.equal(kept.size, 2);
  assert.equal(kept.get('routes a.com'), routeText(route('2')));
});

test('a record that cannot be read replaces none', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.routeRead('a.com', { ...route('2'), problem: 'not JSON' });
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), routeText(route('1')));
});

test('the records of others are asked for once, when they are needed, and forgotten when the store is back', async () => {
  const { kept, shared, asked } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  await shared.fetch();
  assert.equal(asked(), 0, 'the store is there');
  shared.lost();
  assert.equal(shared.route('a.com'), undefined);
  await Promise.all([shared.fetch(), shared.fetch()]);
  assert.equal(asked(), 1);
  assert.deepEqual(shared.route('a.com'), route('1'));
  assert.equal(shared.route('b.com'), undefined);
  shared.restored();
  assert.equal(shared.route('a.com'), undefined);
});

test('a cache without its store serves what other workers have read, and the absences that belong to it', async () => {
  const kept = new KnownRecords(1_000_000);
  const one = shareWith(kept);
  const first = await setUp({ shared: one.shared });
  first.store.records.set('*.b.com', ['wild', 'http://1:1']);
  assert.equal(idOf(await warm(first.store, first.cache, 'a.b.com')), 'wild');
  await one.time.pass(50);
  const two = shareWith(kept);
  const { store, cache } = await setUp({ shared: two.shared });
  two.shared.lost();
  cache.lost();
  assert.equal(idOf(await cache.load('a.b.com')), 'wild');
  assert.equal(store.reads.length, 0);
  const unknown = cache.load('other.b.com');
  await turn();
  store.reads[0]?.fail(new Error('hangs'));
  await assert.rejects(unknown, { code: 'STORE_UNAVAILABLE' });
  cache.restored();
  assert.equal(cache.cached('a.b.com'), undefined, 'it is verified before its next use');
});

test('a read that hangs until the store counts as lost brings what others know', async () => {
  const { kept, shared } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  const { store, cache } = await setUp({ shared });
  const loading = cache.load('a.com');
  await turn();
  shared.lost();
  cache.lost();
  store.reads[0]?.fail(new Error('the connection is lost'));
  await turn();
  for (const read of [...store.reads]) read.fail(new Error('not connected'));
  assert.equal(idOf(await loading), '1');
});

test('a record that is gone from the store is not served from what was known before', async () => {
  const { kept, time, shared } = shareWith();
  const { store, cache } = await setUp({ shared });
  store.records.set('a.com', ['1', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.change('a.com', null);
  await turn();
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), 'null');
});
