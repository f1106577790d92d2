import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedMemo } from './bounded-memo.ts';

/** The keys of these whose value had to be made. */
function made(memo: BoundedMemo<undefined>, keys: readonly string[]): string[] {
  const made: string[] = [];
  for (const key of keys) memo.get(key, () => void made.push(key));
  return made;
}

test('a value is made once, also if it is undefined', () => {
  assert.deepEqual(made(new BoundedMemo(2, 10), ['a', 'b', 'a', 'b']), ['a', 'b']);
});

test('all are forgotten when there are too many', () => {
  assert.deepEqual(made(new BoundedMemo(2, 10), ['a', 'b', 'c', 'c', 'a']), ['a', 'b', 'c', 'a']);
});

test('all are forgotten when their keys get too long', () => {
  assert.deepEqual(made(new BoundedMemo(9, 5), ['aaa', 'bb', 'aaa', 'c', 'aaa', 'c']), ['aaa', 'bb', 'c', 'aaa']);
});

test('a key that is too long is not remembered, and the others stay', () => {
  assert.deepEqual(made(new BoundedMemo(9, 3), ['a', 'bbbb', 'bbbb', 'a']), ['a', 'bbbb', 'bbbb']);
});
