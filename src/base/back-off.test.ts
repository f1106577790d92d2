import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOffMs } from './back-off.ts';

test('the pause doubles with each early death, half of it by chance, and never passes 30 s', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((deaths) => backOffMs(deaths, 0)),
    [250, 500, 1000, 2000],
  );
  assert.equal(backOffMs(1, 0.5), 375);
  for (const deaths of [7, 8, 100, 100_000]) {
    assert.equal(backOffMs(deaths, 0), 15_000);
    assert.ok(backOffMs(deaths, 0.999_999) <= 30_000);
  }
});
