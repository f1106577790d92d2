import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { idOf, setUp, warm } from './route-cache.suite.ts';

test('the record of a host and port wins over that of the host, and its absence is remembered', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['host']);
  const load = cache.load('a.com:8080');
  await turn();
  assert.deepEqual(store.reads[0]?.patterns, ['a.com:8080', 'a.com', '*.com', '*']);
  store.reads[0]?.answer();
  assert.equal(idOf(await load), 'host');
  assert.equal(idOf(cache.cached('a.com:8080')), 'host');
  assert.equal(idOf(cache.cached('a.com')), 'host');
  store.change('a.com:8080', ['port']);
  await turn();
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com:8080')), 'port');
  assert.equal(idOf(cache.cached('a.com')), 'host');
});

test('a flood of ports evicts no frontend and stays bounded', async () => {
  const { store, cache } = await setUp({ limits: { negativeEntriesMax: 100, entriesMax: 10 } });
  store.records.set('hot.com', ['hot']);
  await warm(store, cache, 'hot.com');
  store.prompt = true;
  for (let port = 1; port < 2000; port++) assert.equal(idOf(await cache.load(`hot.com:${port}`)), 'hot');
  assert.equal(cache.negativeEntries, 100);
  assert.equal(idOf(cache.cached('hot.com')), 'hot');
});
