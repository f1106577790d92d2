import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { idOf, setUp, warm } from './route-cache.suite.ts';

/** A cache that knows these hosts, and a store that reports one of them again, unchanged, until it waits. */
async function setUpDamped(hosts: readonly string[], log: string[] = []) {
  const warn = (message: string) => void log.push(message);
  const all = await setUp({ log: { warn } });
  for (const host of hosts) {
    all.store.records.set(host, ['id', 'http://a:1']);
    await warm(all.store, all.cache, host);
  }
  all.store.prompt = true;
  const report = async (host: string): Promise<number> => {
    const before = all.cache.counters.refreshes;
    all.store.listener?.changed('routes', [host]);
    await turn();
    return all.cache.counters.refreshes - before;
  };
  return { ...all, report };
}

/** Makes the store report these hosts without a change until it is too many a second. */
async function crowd(hosts: readonly string[], report: (host: string) => Promise<number>): Promise<void> {
  for (let round = 0; round < 3; round++) for (const host of hosts) await report(host);
}

const others = Array.from({ length: 60 }, (_, i) => `other-${i}.com`);

test('a record that is reported without a change is read at once, as long as few are', async () => {
  const { cache, store, time, report } = await setUpDamped(['a.com']);
  for (let count = 0; count < 100; count++) {
    assert.equal(await report('a.com'), 1);
    await time.pass(50);
  }
  assert.equal(cache.unchanged, 99);
  store.change('a.com', ['new', 'http://a:1']);
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('beside many such records, it is read only when it is used, and ever more rarely', async () => {
  const { cache, store, time, report } = await setUpDamped(['a.com', ...others]);
  const reads: string[] = [];
  const { read } = store.routes;
  store.routes.read = (patterns) => {
    reads.push(...patterns.filter((pattern) => pattern === 'a.com'));
    return read(patterns);
  };
  await crowd(['a.com', ...others], report);
  await time.pass(3);
  reads.length = 0;
  for (let count = 0; count < 100; count++) {
    await report('a.com');
    await crowd(others, report);
    await time.pass(100);
  }
  assert.ok(reads.length <= 3, `${reads.length} readings without requests`);
  reads.length = 0;
  // With requests all the time, and a report after each reading, as by a full table.
  let seen = 0;
  for (let ms = 0; ms < 20_000; ms += 100) {
    if (cache.cached('a.com') === undefined) await cache.load('a.com');
    if (reads.length > seen) await report('a.com');
    seen = reads.length;
    for (const host of others) {
      if (cache.cached(host) === undefined) await cache.load(host);
      await report(host);
    }
    await time.pass(100);
  }
  assert.ok(reads.length > 10 && reads.length < 60, `${reads.length} readings in 20 s`);
});

test('a change of a record that waits is live a second later at the latest, and the next one at once', async () => {
  const { cache, store, time, report } = await setUpDamped(['a.com', ...others]);
  await crowd(['a.com', ...others], report);
  store.change('a.com', ['new', 'http://a:1']);
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'id', 'served as it was meanwhile');
  await time.pass(1000);
  assert.equal(cache.cached('a.com'), undefined, 'verified before its next use');
  assert.equal(idOf(await cache.load('a.com')), 'new');
  store.change('a.com', ['newer', 'http://a:1']);
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'newer');
});

test('nothing waits any more once the cache says that it is settled', async () => {
  const { cache, store, time, report } = await setUpDamped(['a.com', ...others]);
  await crowd(['a.com', ...others], report);
  store.change('a.com', ['new', 'http://a:1']);
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'id');
  assert.equal(await cache.settled(), true);
  assert.equal(cache.cached('a.com'), undefined, 'verified before its next use');
  assert.equal(idOf(await cache.load('a.com')), 'new');
  assert.equal(time.pending, 0);
});

test('more hosts than are followed are read at once all the same', async () => {
  const { store, time, cache } = await setUp({ limits: { entriesMax: 10, negativeEntriesMax: 10 } });
  for (let i = 0; i < 100; i++) {
    const host = `${i}.com`;
    store.records.set(host, ['id', 'http://a:1']);
    store.prompt = false;
    await warm(store, cache, host);
    store.prompt = true;
    for (const id of ['one', 'two']) {
      store.change(host, [id, 'http://a:1']);
      await time.pass(3);
      assert.equal(idOf(cache.cached(host)), id);
    }
  }
});

test('records that change are read at once, however often, also beside many that do not', async () => {
  const hosts = Array.from({ length: 300 }, (_, i) => `${i}.com`);
  const { cache, store, time, report } = await setUpDamped([...hosts, 'a.com']);
  await crowd(hosts, report);
  for (let count = 0; count < 50; count++) {
    store.change('a.com', [`id ${count}`, 'http://a:1']);
    await time.pass(3);
    assert.equal(idOf(cache.cached('a.com')), `id ${count}`);
  }
});

test('with many such records hardly any is read', async () => {
  const hosts = Array.from({ length: 1000 }, (_, i) => `${i}.com`);
  const { cache, report } = await setUpDamped(hosts);
  for (let round = 0; round < 20; round++) for (const host of hosts) await report(host);
  // One for its fingerprint, one that brings nothing new, and a few until there are too many of those.
  assert.ok(cache.counters.refreshes <= 2 * hosts.length + 400, `${cache.counters.refreshes} readings`);
});

test('the log says so once a minute, with the reason that the store knows', async () => {
  const log: string[] = [];
  const { time, report } = await setUpDamped(others, log);
  const round = async (): Promise<void> => {
    await crowd(others, report);
    await turn();
  };
  await round();
  await round();
  assert.equal(log.length, 1);
  assert.match(log[0] ?? '', /changes of records that have not changed.*: another program writes the same again/);
  await time.pass(61_000);
  await round();
  assert.equal(log.length, 2);
});

test('no timer is left once nothing waits, and none after the end', async () => {
  const { cache, time, report } = await setUpDamped(others);
  await crowd(others, report);
  assert.equal(time.pending, 1);
  await time.pass(1100);
  assert.equal(time.pending, 0);
  for (const host of others) await cache.load(host);
  await crowd(others, report);
  assert.equal(time.pending, 1);
  cache.close();
  assert.equal(time.pending, 0);
});
