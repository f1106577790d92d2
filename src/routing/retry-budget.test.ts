import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RetryBudget } from './retry-budget.ts';

const limits = { ratio: 0.2, retriesMin: 3, bucketMs: 10_000 };

function takeAll(budget: RetryBudget, nowMs: number): number {
  let taken = 0;
  while (budget.takeRetry(nowMs, limits)) taken++;
  return taken;
}

test('retries are limited to a fifth of the requests of the window', () => {
  const budget = new RetryBudget();
  for (let i = 0; i < 100; i++) budget.countRequest(1000, limits);
  assert.equal(takeAll(budget, 1000), 20);
});

test('a host with few requests can retry a few times', () => {
  const budget = new RetryBudget();
  budget.countRequest(1000, limits);
  assert.equal(takeAll(budget, 1000), 3);
});

test('the window slides: requests older than two buckets no longer count', () => {
  const budget = new RetryBudget();
  for (let i = 0; i < 100; i++) budget.countRequest(1000, limits);
  assert.equal(takeAll(budget, 9999), 20);
  assert.equal(takeAll(budget, 10_000), 0);
  assert.equal(takeAll(budget, 20_000), 3);
});

test('counting restarts if the clock goes back', () => {
  const budget = new RetryBudget();
  assert.equal(takeAll(budget, 500_000), 3);
  assert.equal(takeAll(budget, 1000), 3);
});

test('in one bucket, retries never exceed the greater of the share and the minimum', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (steps) => {
      const budget = new RetryBudget();
      let requests = 0;
      let retries = 0;
      for (const isRequest of steps) {
        if (isRequest) {
          budget.countRequest(5, limits);
          requests++;
        } else if (budget.takeRetry(5, limits)) {
          retries++;
        }
        if (!isRequest) assert.ok(retries <= Math.max(3, 0.2 * requests) || steps.length === 0);
      }
    }),
  );
});
