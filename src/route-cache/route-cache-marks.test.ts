import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { idOf, setUp, warm } from './route-cache.suite.ts';

test('a mark holds at once, is shared, and is not undone by a reading that was under way', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  store.change('a.com', ['y', 'http://1:1', 'http://2:1']);
  await turn();
  const deliver = store.reads[0]?.take();
  cache.markDown(frontend, backend, 'BACKEND_CONNECT_REFUSED', 30_000);
  assert.equal(backend.isDown(time.nowMs), true);
  deliver?.();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'y');
  assert.equal(cache.cached('a.com')?.backends[0]?.isDown(time.nowMs + 29_999), true);
  const shared = store.markWrites[0];
  assert.deepEqual(shared && { ...shared.mark, pattern: shared.pattern, url: shared.url }, {
    pattern: 'a.com',
    url: 'http://1:1',
    untilMs: time.nowMs + 30_000,
    sinceMs: time.nowMs,
    reason: 'BACKEND_CONNECT_REFUSED',
    instance: 'test',
  });
});

test("once shared, a mark goes when the store's does", async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  cache.markDown(frontend, backend, 'x', 30_000);
  store.markWrites[0]?.done();
  await turn();
  store.prompt = true;
  store.listener?.changed('routes', ['a.com']);
  await turn();
  assert.equal(backend.isDown(time.nowMs), false);
});

test('a mark that the store refuses holds in this worker until it ends', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  cache.markDown(frontend, backend, 'x', 30_000);
  store.markWrites[0]?.fail(new Error('read-only'));
  await turn();
  assert.equal(cache.counters.markErrors, 1);
  store.prompt = true;
  store.listener?.changed('routes', ['a.com']);
  await turn();
  assert.equal(backend.isDown(time.nowMs), true);
  assert.equal(backend.isDown(time.nowMs + 30_000), false);
});

test('failing together, requests mark once; the last backend is never marked', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  assert.ok(frontend);
  for (let i = 0; i < 10; i++) for (const backend of frontend.backends) cache.markDown(frontend, backend, 'x', 1000);
  assert.equal(store.markWrites.length, 1);
  assert.deepEqual(
    frontend.backends.map((backend) => backend.isDown(time.nowMs)),
    [true, false],
  );
});

test('a mark set on an old frontend counts for the record of now', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const old = await warm(store, cache, 'a.com');
  const [first, second] = old?.backends ?? [];
  assert.ok(old && first && second);
  store.prompt = true;
  store.change('a.com', ['x', 'http://2:1']);
  await turn();
  cache.markDown(old, second, 'x', 1000);
  cache.markDown(old, first, 'x', 1000);
  assert.deepEqual([first.isDown(time.nowMs), second.isDown(time.nowMs), store.markWrites.length], [false, false, 0]);
});

test('marks that wait are bounded', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 1100; i++) {
    store.records.set(`h${i}.com`, ['x', 'http://1:1', 'http://2:1']);
    const frontend = await warm(store, cache, `h${i}.com`);
    const backend = frontend?.backends[0];
    if (frontend && backend) cache.markDown(frontend, backend, 'x', 1000);
  }
  assert.equal(store.markWrites.length, 8);
  assert.equal(cache.marksDropped, 1100 - 1000 - 8);
});

test('a mark that was only reported to a checker holds until the checker has set one, or until it ends', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  cache.markDown(frontend, backend, 'x', 30_000);
  store.markWrites[0]?.reported();
  await turn();
  store.prompt = true;
  store.change('a.com', ['x', 'http://1:1', 'http://2:1']);
  await time.pass(3);
  assert.equal(backend.isDown(time.nowMs), true, 'the checker has not decided');
  assert.equal(backend.isDown(time.nowMs + 30_000), false);
  const decided = { untilMs: time.nowMs + 10_000, sinceMs: time.nowMs, reason: 'dead set', instance: 'checker' };
  store.down.set('a.com', new Map([['http://1:1', decided]]));
  store.change('a.com', ['x', 'http://1:1', 'http://2:1']);
  await time.pass(3);
  assert.deepEqual(backend.down, decided);
  store.down.delete('a.com');
  store.change('a.com', ['x', 'http://1:1', 'http://2:1']);
  await time.pass(3);
  assert.equal(backend.isDown(time.nowMs), false);
});
