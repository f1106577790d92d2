import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InformationalCount } from './informational-count.ts';

test('as many as the burst may come at once', () => {
  const count = new InformationalCount();
  for (let at = 0; at < 16; at++) assert.equal(count.count(103, 1000, 16), true);
  assert.equal(count.count(103, 1000, 16), false);
});

test('102 may come for hours, ten a second, and ten thousand in all', () => {
  const count = new InformationalCount();
  for (let at = 0; at < 10_000; at++) assert.equal(count.count(102, 100 * at, 16), true, `${at}`);
  assert.equal(count.count(102, 2_000_000, 16), false);
});

test('other statuses are limited in all', () => {
  const count = new InformationalCount();
  for (let at = 0; at < 2; at++) assert.equal(count.count(100, 1000 * at, 2), true);
  assert.equal(count.count(103, 9000, 2), true);
  assert.equal(count.count(100, 10_000, 2), false);
});

test('each response starts anew', () => {
  const count = new InformationalCount();
  assert.equal(count.count(100, 0, 1), true);
  assert.equal(count.count(100, 0, 1), false);
  count.reset();
  assert.equal(count.count(100, 0, 1), true);
  assert.equal(count.count(103, 0, 1), true);
});
