import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from './backend.ts';
import { buildFrontend } from './record.ts';
import { weightAt } from './slow-start.ts';

const mark = (untilMs: number) => ({ untilMs, sinceMs: 0, reason: 'x', instance: 'i' });
const record = (...urls: string[]) => ({ frontend: ['id', ...urls], down: new Map() });
const marked = (untilMs: number, ...urls: string[]) => ({
  frontend: ['id', ...urls],
  down: new Map([[urls[0] as string, mark(untilMs)]]),
});

test('the weight grows evenly from a tenth to all of it', () => {
  const before = buildFrontend('a.com', record('http://a:1'));
  const { backends } = buildFrontend('a.com', record('http://a:1', 'http://b:1#weight=10'), before, 0, 1000);
  const [old, added] = backends as [Backend, Backend];
  assert.equal(weightAt(old, 100, 1000), 1);
  assert.equal(weightAt(added, 100, 1000), 1);
  assert.equal(weightAt(added, 100, 1050), 5.5);
  assert.equal(weightAt(added, 100, 1100), 10);
  assert.equal(weightAt(added, 0, 1000), 10, 'a host without slowStart');
  // A clock that goes back.
  assert.equal(weightAt(added, 100, 0), 1);
});

test('a mark that has expired or was lifted begins a new start', () => {
  const before = buildFrontend('a.com', marked(2000, 'http://a:1', 'http://b:1'));
  const [backend] = before.backends as [Backend, Backend];
  assert.equal(weightAt(backend, 100, 2050), 0.55, 'expired');
  buildFrontend('a.com', record('http://a:1', 'http://b:1'), before, Number.MAX_SAFE_INTEGER, 2060);
  assert.equal(weightAt(backend, 100, 2050), 0.55, 'expired, and read again');
  const again = buildFrontend('a.com', marked(9000, 'http://a:1', 'http://b:1'), before, 1, 3000);
  buildFrontend('a.com', record('http://a:1', 'http://b:1'), again, Number.MAX_SAFE_INTEGER, 4000);
  assert.equal(backend.down, null);
  assert.equal(weightAt(backend, 100, 4050), 0.55, 'lifted before its end');
});

test('nothing is slow at the first reading of a record, nor if no backend was there before', () => {
  const first = buildFrontend('a.com', record('http://a:1'), null, 0, 1000);
  const replaced = buildFrontend('a.com', record('http://b:1', 'http://c:1'), first, 0, 2000);
  for (const backend of [...first.backends, ...replaced.backends]) assert.equal(weightAt(backend, 100, 2000), 1);
  const empty = buildFrontend('a.com', record(), null, 0, 1000);
  const [only] = buildFrontend('a.com', record('http://a:1'), empty, 0, 2000).backends as [Backend];
  assert.equal(weightAt(only, 100, 2000), 1);
});

test('a backend that has drained and is added again starts anew', () => {
  const before = buildFrontend('a.com', record('http://a:1', 'http://b:1'), null, 0, 1000);
  const drains = buildFrontend('a.com', record('http://a:1', 'http://b:1#drain=5000'), before, 0, 2000);
  const after = buildFrontend('a.com', record('http://a:1', 'http://b:1'), drains, 0, 3000);
  const [, again] = after.backends as [Backend, Backend];
  assert.equal(again, before.backends[1]);
  assert.equal(weightAt(again, 100, 3000), 0.1);
});
