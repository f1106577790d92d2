import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, localTime } from './when.ts';

test('a duration has its two largest units', () => {
  assert.equal(duration(0), '0 s');
  assert.equal(duration(-5), '0 s');
  assert.equal(duration(11_001), '12 s');
  assert.equal(duration(185_000), '3 min 5 s');
  assert.equal(duration(7_200_000), '2 h');
  assert.equal(duration(90_061_000), '1 d 1 h');
});

test('a local time denotes the same instant', () => {
  const instant = Date.UTC(2026, 10, 22, 10, 0, 0);
  assert.match(localTime(instant), /^2026-11-2\dT\d\d:\d\d:00[+-]\d\d:\d\d$/);
  assert.equal(Date.parse(localTime(instant)), instant);
  assert.equal(localTime(Number.MAX_VALUE), 'an unknown time');
});
