import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogFields } from './log.ts';
import { RateLimitedLog } from './rate-limited-log.ts';

test('a kind of problem is logged once a minute, with the number suppressed since', () => {
  const logged: [string, LogFields][] = [];
  let now = 0;
  const clock = { monotonicMs: () => now, epochMs: () => now };
  const problems = new RateLimitedLog((what, fields) => void logged.push([what, fields]), clock);
  for (let count = 0; count < 5; count++) problems.report('a', { count });
  problems.report('b', {});
  now = 60_000;
  problems.report('a', { count: 5 });
  assert.deepEqual(logged, [
    ['a', { count: 0 }],
    ['b', {}],
    ['a', { count: 5, unreported: 4 }],
  ]);
});
