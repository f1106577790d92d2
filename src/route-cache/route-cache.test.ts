import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { idOf, setUp, warm } from './route-cache.suite.ts';

test('a host is asked for once, all its patterns in one reading, and answered from memory afterwards', async () => {
  const { store, cache } = await setUp();
  store.records.set('*.b.com', ['wild', 'http://1:1']);
  assert.equal(cache.cached('a.b.com'), undefined);
  const loads = [cache.load('a.b.com'), cache.load('a.b.com')];
  await turn();
  assert.deepEqual(
    store.reads.map((read) => read.patterns),
    [['a.b.com', '*.b.com', '*.com', '*']],
  );
  store.reads[0]?.answer();
  const [first, second] = await Promise.all(loads);
  assert.equal(first?.id, 'wild');
  assert.equal(first, second);
  assert.equal(cache.cached('a.b.com'), first);
  assert.equal(cache.cached('x.b.com'), undefined);
  const other = cache.load('x.b.com');
  await turn();
  assert.deepEqual(store.reads[0]?.patterns, ['x.b.com'], 'its wildcard is known');
  store.reads[0]?.answer();
  assert.equal(await other, first);
  assert.equal(cache.counters.misses, 3);
});

test('the most specific list that is not empty wins', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.b.com', []);
  store.records.set('*.b.com', []);
  store.records.set('*.com', ['com']);
  store.records.set('*', ['all']);
  assert.equal(idOf(await warm(store, cache, 'a.b.com')), 'com');
  assert.equal(idOf(cache.cached('a.b.com')), 'com');
  assert.equal(idOf(await warm(store, cache, 'a.b.org')), 'all');
  assert.equal(idOf(await warm(store, cache, '[::1]')), 'all');
});

test('absence is remembered, until the pattern gets a record', async () => {
  const { store, cache } = await setUp();
  assert.equal(await warm(store, cache, 'a.com'), null);
  assert.equal(cache.cached('a.com'), null);
  assert.equal(cache.negativeEntries, 3);
  store.change('*.com', ['new']);
  assert.equal(cache.cached('a.com'), null, 'used lately: the old answer serves for the moment of the reading');
  await turn();
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('an absence that nobody uses is forgotten when its pattern changes', async () => {
  const { store, cache } = await setUp();
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  await turn();
  assert.equal(store.reads.length, 0);
  assert.equal(cache.cached('a.com'), undefined);
});

test('a flood of names without a record evicts no frontend and stays bounded', async () => {
  const { store, cache } = await setUp({ limits: { negativeEntriesMax: 100, entriesMax: 10 } });
  store.records.set('hot.com', ['hot']);
  await warm(store, cache, 'hot.com');
  store.prompt = true;
  for (let i = 0; i < 2000; i++) assert.equal(await cache.load(`random-${i}.com`), null);
  assert.equal(cache.negativeEntries, 100);
  assert.equal(idOf(cache.cached('hot.com')), 'hot');
});

test('a change while the reading is under way wins over what it brings', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.change('a.com', ['new']);
  deliver?.();
  assert.equal(idOf(await load), 'old', 'used once');
  assert.equal(cache.cached('a.com'), undefined, 'and not kept');
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'new');
});

test('a lookup after the change does not get the record that was read before it', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const early = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.change('a.com', ['new']);
  const late = cache.load('a.com');
  deliver?.();
  assert.equal(idOf(await early), 'old');
  await turn();
  store.reads[0]?.answer();
  assert.equal(idOf(await late), 'new');
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a known host that changes is read again at once, and served meanwhile', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old', 'http://1:1']);
  const before = await warm(store, cache, 'a.com');
  store.change('a.com', ['new', 'http://1:1']);
  await turn();
  assert.equal(cache.cached('a.com'), before);
  store.reads[0]?.answer();
  await turn();
  const after = cache.cached('a.com');
  assert.equal(idOf(after), 'new');
  assert.equal(after?.backends[0], before?.backends[0], 'the backend stays the same object');
});

test('a removed host falls back to its wildcard', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  store.records.set('*', ['all']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.change('a.com', null);
  await turn();
  assert.equal(idOf(await cache.load('a.com')), 'all');
});

test('changes of hosts that are not cached cost no reading', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 1000; i++) store.change(`other-${i}.com`, ['x']);
  await turn();
  assert.deepEqual([store.reads.length, cache.counters.refreshes, cache.entries], [0, 0, 0]);
});

test('however often a host changes, one reading is under way and one waits', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['0']);
  await warm(store, cache, 'a.com');
  for (let i = 1; i <= 100; i++) {
    store.change('a.com', [String(i)]);
    await turn();
    assert.equal(store.reads.length, 1);
  }
  store.reads[0]?.take()();
  await time.pass(3);
  assert.equal(store.reads.length, 1, 'the one that waited');
  store.reads[0]?.answer();
  await turn();
  assert.equal(store.reads.length, 0);
  assert.equal(idOf(cache.cached('a.com')), '100');
});

test('a host that changes without a pause still gets its newer records', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['0']);
  await warm(store, cache, 'a.com');
  for (let i = 1; i <= 10; i++) {
    store.change('a.com', [String(i)]);
    await time.pass(3);
    const deliver = store.reads[0]?.take();
    store.listener?.changed('routes', ['a.com']);
    deliver?.();
    await time.pass(3);
    assert.equal(idOf(cache.cached('a.com')), String(i));
  }
});

test('many changes are read together', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 100; i++) store.records.set(`h${i}.com`, ['x']);
  for (let i = 0; i < 100; i++) await warm(store, cache, `h${i}.com`);
  store.listener?.changed(
    'routes',
    Array.from({ length: 100 }, (_, i) => `h${i}.com`),
  );
  await turn();
  assert.deepEqual(
    store.reads.map((read) => read.patterns.length),
    [100],
  );
});

test('while the store is lost everything known is served, without reading', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  await warm(store, cache, 'b.com');
  store.listener?.lost(new Error('gone'));
  assert.equal(idOf(cache.cached('a.com')), 'x');
  assert.equal(cache.cached('b.com'), null);
  assert.equal(cache.countUnverified(), cache.entries);
  await turn();
  assert.equal(store.reads.length, 0);
});

test('after the store is back, an entry is verified before its next use', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  assert.equal(cache.cached('a.com'), undefined);
  const load = cache.load('a.com');
  await turn();
  assert.deepEqual(store.reads[0]?.patterns, ['a.com']);
  store.reads[0]?.answer();
  assert.equal(idOf(await load), 'new');
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('verifying holds up a request only for a moment, and the next one not at all', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.listener?.restored();
  store.records.set('a.com', ['new']);
  const load = cache.load('a.com');
  await time.pass(99);
  await time.pass(1);
  assert.equal(idOf(await load), 'old');
  assert.equal(idOf(cache.cached('a.com')), 'old');
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('verifying through several patterns holds up a request no longer than through one', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  store.records.set('*.com', ['wild']);
  await warm(store, cache, 'a.com');
  await warm(store, cache, 'b.com');
  store.listener?.lost(new Error('gone'));
  store.records.delete('a.com');
  store.listener?.restored();
  const load = cache.load('a.com');
  await time.pass(90);
  store.reads[0]?.answer();
  await time.pass(10);
  assert.equal(idOf(await load), 'wild');
  assert.equal(idOf(cache.cached('a.com')), 'wild');
});

test('an entry that is gone after the store was lost gives way to its wildcard', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.records.delete('a.com');
  store.records.set('*', ['all']);
  store.listener?.restored();
  store.prompt = true;
  assert.equal(idOf(await cache.load('a.com')), 'all');
});

test('a reading that was under way when the store was lost does not count as verified', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.listener?.lost(new Error('gone'));
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  deliver?.();
  assert.equal(idOf(await load), 'old');
  assert.equal(cache.cached('a.com'), undefined);
});

test('what was read while the store was lost is verified once it is back', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  store.listener?.lost(new Error('gone'));
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'old');
  assert.equal(idOf(cache.cached('a.com')), 'old');
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'new');
});

test('an unknown host rejects where the store fails, known ones are served', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  const load = cache.load('b.com');
  await turn();
  store.reads[0]?.fail(new Error('disk on fire'));
  await assert.rejects(load, { code: 'STORE_UNAVAILABLE', source: 'store', message: /disk on fire/ });
  assert.equal(idOf(cache.cached('a.com')), 'x');
});

test('a wildcard never stands in for a host that could not be read', async () => {
  const { store, cache } = await setUp();
  store.records.set('*', ['all']);
  await warm(store, cache, 'a.com');
  const load = cache.load('b.com');
  await turn();
  store.reads[0]?.fail(new Error('disk on fire'));
  await assert.rejects(load, { code: 'STORE_UNAVAILABLE' });
});

test('a store that does not respond is waited for only so long, and its late result is dropped', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  const rejection = assert.rejects(load, { code: 'STORE_UNAVAILABLE', message: /5000 ms/ });
  await time.pass(5000);
  await rejection;
  const late = store.reads[0];
  const again = cache.load('a.com');
  await turn();
  assert.equal(store.reads.length, 2);
  store.records.set('a.com', ['new']);
  store.reads[1]?.answer();
  assert.equal(idOf(await again), 'new');
  store.records.set('a.com', ['older']);
  late?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a refresh that fails is tried again with growing waits, and the old record serves meanwhile', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    await turn();
    store.reads[0]?.fail(new Error('busy'));
    await turn();
    assert.equal(idOf(cache.cached('a.com')), 'old');
    const sinceMs = time.nowMs;
    while (store.reads.length === 0) await time.pass(50);
    waits.push(time.nowMs - sinceMs);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600]);
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('what failed is tried again at once when the store is back', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  await turn();
  store.reads[0]?.fail(new Error('gone'));
  await turn();
  store.listener?.lost(new Error('gone'));
  store.listener?.restored();
  await time.pass(3);
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a damaged place in the store harms only what lies in it', async () => {
  const { store, cache } = await setUp();
  const { HipacheError } = await import('../base/errors.ts');
  store.records.set('good.com', ['good']);
  const bad = assert.rejects(cache.load('bad.com'), { code: 'STORE_DAMAGED' });
  const good = cache.load('good.com');
  for (let i = 0; i < 50 && (await Promise.race([good, turn(null)])) === null; i++) {
    for (const read of [...store.reads]) {
      if (read.patterns.includes('bad.com')) read.fail(new HipacheError('STORE_DAMAGED', 'page 7'));
      else read.answer();
    }
  }
  assert.equal(idOf(await good), 'good');
  await bad;
});

test('what has expired is verified at its next use, which waits for that', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.records.set('a.com', ['new']);
  store.listener?.expired();
  await turn();
  assert.equal(store.reads.length, 0, 'nothing is read that nobody asks for');
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'new');
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('what has expired serves where the store takes too long to verify it', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.listener?.expired();
  const load = cache.load('a.com');
  await time.pass(100);
  assert.equal(idOf(await load), 'old');
  assert.equal(idOf(cache.cached('a.com')), 'old');
});

test('a reading that was under way when everything expired does not count as verified', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.records.set('a.com', ['new']);
  store.listener?.expired();
  deliver?.();
  assert.equal(idOf(await load), 'old');
  assert.equal(cache.cached('a.com'), undefined);
});

test('problems of a record are reported once', async () => {
  const problems: string[] = [];
  const { store, time, cache } = await setUp({
    onProblem: (pattern, { message }) => problems.push(`${pattern}: ${message}`),
  });
  store.records.set('a.com', ['x', 'nonsense', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.listener?.changed('routes', ['a.com']);
  await time.pass(3);
  store.change('a.com', ['x', 'http://1:1', 'other nonsense']);
  await time.pass(3);
  assert.equal(problems.length, 2);
});

test('no timer is left once nothing is under way', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.listener?.changed('routes', ['a.com']);
  await turn();
  assert.equal(time.pending, 0);
  cache.close();
});

test('an error of the cache itself fails the lookups that it concerns, is reported, and ends there', async () => {
  const internal: string[] = [];
  const onInternalError = (where: string, error: Error) => void internal.push(`${where}: ${error.message}`);
  const { store, cache } = await setUp({ onInternalError });
  store.records.set('a.com', new Proxy(['id'], { get: () => assert.fail('broken') }));
  store.records.set('b.com', ['b']);
  const broken = cache.load('a.com');
  const sound = cache.load('b.com');
  await turn();
  for (const read of [...store.reads]) read.answer();
  await assert.rejects(broken, /broken/);
  assert.equal(idOf(await sound), 'b');
  assert.deepEqual(internal, ['the route cache: broken']);
  store.change('a.com', ['a']);
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'a');
});
