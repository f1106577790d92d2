import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadBudget } from './read-budget.ts';

test('a budget allows so many at once, and so many a second', () => {
  const budget = new ReadBudget(10);
  const take = (nowMs: number) => Array.from({ length: 100 }, () => budget.take(nowMs)).filter(Boolean).length;
  assert.equal(take(5000), 10);
  assert.equal(take(5000), 0);
  assert.equal(take(5250), 2);
  assert.equal(take(5500), 3);
  assert.equal(take(60_000), 10);
});
