import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawOf, newTraceId } from './trace-id.ts';

test('the draw of an id is the fraction that its last digits are', () => {
  const parent = '0'.repeat(16);
  assert.equal(drawOf(`${'f'.repeat(24)}00000000${parent}`), 0);
  assert.equal(drawOf(`${'0'.repeat(24)}80000000${parent}`), 0.5);
  assert.equal(drawOf(`${'0'.repeat(24)}ffffffff${parent}`), 1 - 2 ** -32);
  assert.equal(drawOf(`${'0'.repeat(24)}9abcdef0${'f'.repeat(16)}`), 0x9abcdef0 / 2 ** 32);
});

test('the draws of new ids are spread over their range', () => {
  const tenths = new Array<number>(10).fill(0);
  for (let count = 0; count < 10_000; count++) {
    const tenth = Math.floor(10 * drawOf(newTraceId()));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  // The standard deviation is 30.
  for (const count of tenths) assert.ok(count > 700 && count < 1300, tenths.join());
});
