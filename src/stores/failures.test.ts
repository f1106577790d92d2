import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFailures, type BackendFailures, failuresKeptMs, joinFailures } from './failures.ts';

const nowMs = 1_000_000_000;

function failures(lastMs: number, count = 1, reason = 'x'): BackendFailures {
  return { count, firstMs: lastMs, lastMs, reason, instance: 'web-1' };
}

test('failures continue a series unless it has ended', () => {
  const former = failures(nowMs - 1000, 3, 'former');
  assert.equal(joinFailures(undefined, former), former);
  assert.deepEqual(joinFailures(former, failures(nowMs, 2, 'added')), {
    ...failures(nowMs, 5, 'added'),
    firstMs: nowMs - 1000,
  });
  const late = failures(nowMs + failuresKeptMs);
  assert.equal(joinFailures(former, late), late);
});

test('the reason is that of the last failure, whichever comes first', () => {
  const joined = joinFailures(failures(nowMs, 3, 'later'), failures(nowMs - 5000, 1, 'earlier'));
  assert.deepEqual(joined, { ...failures(nowMs, 4, 'later'), firstMs: nowMs - 5000 });
});

test('series that have ended are forgotten with the next write', () => {
  const stored = new Map([
    ['http://old', failures(nowMs - failuresKeptMs - 1)],
    ['http://recent', failures(nowMs - failuresKeptMs)],
  ]);
  const { written, forgotten } = addFailures(stored, new Map([['http://new', failures(nowMs)]]), nowMs);
  assert.deepEqual([...written.keys()], ['http://new']);
  assert.deepEqual(forgotten, ['http://old']);
});

test('a route keeps a thousand series; those that failed longest ago go', () => {
  const stored = new Map(Array.from({ length: 1000 }, (_, i) => [`http://h${i}`, failures(nowMs - 2000 + i)] as const));
  const added = new Map([
    ['http://new', failures(nowMs)],
    ['http://h999', failures(nowMs)],
    ['http://longest-ago', failures(nowMs - 5000)],
  ]);
  const { written, forgotten } = addFailures(stored, added, nowMs);
  assert.deepEqual([...written.keys()], ['http://new', 'http://h999']);
  assert.deepEqual(forgotten, ['http://h0']);
});
