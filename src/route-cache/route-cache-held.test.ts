import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { StoredRoute } from '../stores/contract.ts';
import { idOf, setUp, warm } from './route-cache.suite.ts';

/** A cache with a wipe guard that judges when the test says so, and records that other workers know. */
async function guarded(others: Readonly<Record<string, string>> = {}) {
  const reported: string[] = [];
  let asked = 0;
  let isKnown = false;
  const shared = {
    fetch: async () => {
      isKnown = true;
    },
    route: (pattern: string): StoredRoute | null | undefined => {
      const id = isKnown ? others[pattern] : undefined;
      return id === undefined ? undefined : { frontend: [id, 'http://1:1'], down: new Map() };
    },
    routeRead: (pattern: string, record: StoredRoute | null) => void reported.push(`${pattern} ${record?.frontend[0]}`),
  };
  const set = await setUp({ shared, askGuard: () => void asked++ });
  const { held } = set.cache;
  if (held === null) throw new Error('there is a guard');
  return { ...set, held, reported, asked: () => asked };
}

test('a route that is found absent is served until it is judged', async () => {
  const { store, cache, held, reported, asked } = await guarded();
  store.records.set('a.com', ['a', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.records.clear();
  store.listener?.expired();
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'a');
  assert.equal(idOf(cache.cached('a.com')), 'a', 'without reading it again');
  assert.deepEqual([asked(), held.size, reported.includes('a.com undefined')], [1, 1, false]);
  held.judged();
  assert.deepEqual([cache.cached('a.com'), reported.at(-1)], [undefined, 'a.com undefined']);
  assert.equal(await warm(store, cache, 'a.com'), null);
  assert.deepEqual([asked(), held.size], [1, 0]);
});

test('a route whose removal is reported is gone at once', async () => {
  const { store, cache, held, asked } = await guarded();
  store.records.set('a.com', ['a', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.change('a.com', null);
  await turn();
  assert.equal(cache.cached('a.com'), null);
  assert.deepEqual([asked(), held.size], [0, 0]);
});

test('many routes whose removal is reported at once are held', async () => {
  const { store, time, cache, held, asked } = await guarded();
  const hosts = Array.from({ length: 120 }, (_, i) => `app${i}.com`);
  for (const host of hosts) store.records.set(host, [host, 'http://1:1']);
  for (const host of hosts) await warm(store, cache, host);
  store.records.clear();
  store.prompt = true;
  store.listener?.changed('routes', hosts);
  await time.pass(3);
  assert.deepEqual([asked(), held.size], [1, 120]);
  held.turned(true);
  held.judged();
  for (const host of hosts) assert.equal(idOf(cache.cached(host)), host);
  store.change('app7.com', ['back', 'http://1:1']);
  await time.pass(3);
  assert.deepEqual([idOf(cache.cached('app7.com')), held.size], ['back', 119]);
  // It has come back without a word, as when the store was restarted.
  store.records.set('app9.com', ['silently', 'http://1:1']);
  held.turned(false);
  await time.pass(3);
  assert.deepEqual(
    ['app8.com', 'app9.com'].map((host) => idOf(cache.cached(host))),
    ['app8.com', 'silently'],
  );
  // The first is asked about alone, the others after it.
  held.judged();
  held.judged();
  assert.deepEqual([cache.cached('app8.com'), held.size], [undefined, 0]);
  assert.equal(idOf(cache.cached('app9.com')), 'silently');
});

test('while the alarm is raised, routes that only others know are served, also where an absence was known', async () => {
  const { store, cache, held } = await guarded({ 'a.com': 'a', 'b.com': 'b' });
  assert.equal(await warm(store, cache, 'a.com'), null);
  assert.equal(cache.cached('a.com'), null);
  held.turned(true);
  await warm(store, cache, 'other.org');
  cache.recallAbsent();
  store.prompt = true;
  for (const [host, id] of [
    ['a.com', 'a'],
    ['b.com', 'b'],
  ] as const) {
    assert.equal(idOf(await cache.load(host)), id);
    assert.equal(idOf(cache.cached(host)), id);
  }
  assert.equal(await cache.load('c.com'), null);
});

test('everything is settled once what is held is judged', async () => {
  const { store, cache, held } = await guarded();
  store.records.set('a.com', ['a', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.records.clear();
  store.listener?.expired();
  await warm(store, cache, 'a.com');
  let isSettled = false;
  void cache.settled().then(() => {
    isSettled = true;
  });
  await turn();
  assert.equal(isSettled, false);
  held.judged();
  await turn();
  assert.equal(isSettled, true);
});
