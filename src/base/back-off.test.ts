import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff, backOffMs } from './back-off.ts';

test('pauses double up to the longest, and restart after a success', () => {
  const pauses = new BackOff({ firstMs: 100, longestMs: 500 });
  assert.deepEqual(
    [pauses.next(), pauses.next(), pauses.next(), pauses.next(), pauses.next()],
    [100, 200, 400, 500, 500],
  );
  pauses.reset();
  assert.deepEqual([pauses.next(), pauses.next()], [100, 200]);
});

test('a spread makes a part of each pause random', () => {
  const figures = { firstMs: 500, longestMs: 30_000, spread: [0.5, 1] } as const;
  assert.deepEqual(
    [1, 2, 3, 4].map((attempt) => backOffMs(figures, attempt, 0)),
    [250, 500, 1000, 2000],
  );
  assert.equal(backOffMs(figures, 1, 0.5), 375);
  for (const attempt of [7, 8, 100, 100_000]) {
    assert.equal(backOffMs(figures, attempt, 0), 15_000);
    assert.ok(backOffMs(figures, attempt, 0.999_999) <= 30_000);
  }
});
