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

test('a sentence can be counted separately by what it concerns, within a bound', () => {
  const logged: string[] = [];
  const clock = { monotonicMs: () => 0, epochMs: () => 0 };
  const problems = new RateLimitedLog((what, { url }) => void logged.push(`${what} ${url}`), clock);
  for (const url of ['x', 'y', 'x']) problems.report('dead', { url }, url);
  assert.deepEqual(logged, ['dead x', 'dead y']);
  for (let count = 0; count < 1000; count++) problems.report('dead', { url: count }, String(count));
  problems.report('dead', { url: 'x' }, 'x');
  assert.equal(logged.at(-1), 'dead x');
});
