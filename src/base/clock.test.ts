import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventClock } from './clock.ts';

test('the time stands still while an event is handled, with its microtasks, and goes on with the next one', async () => {
  let looks = 0;
  const clock = new EventClock({ monotonicMs: () => ++looks, epochMs: () => 1000 + ++looks });
  assert.deepEqual([clock.monotonicMs(), clock.epochMs(), clock.monotonicMs(), clock.epochMs()], [1, 1002, 1, 1002]);
  await nextTurn();
  assert.deepEqual([clock.epochMs(), clock.monotonicMs(), clock.epochMs()], [1003, 4, 1003]);
  await nextTurn();
  await nextTurn();
  assert.equal(clock.monotonicMs(), 5);
});

test('a clock that is asked again in a later microtask of the same event looks once more at most', async () => {
  let looks = 0;
  const clock = new EventClock({ monotonicMs: () => ++looks, epochMs: () => 0 });
  clock.monotonicMs();
  await Promise.resolve();
  await Promise.resolve();
  clock.monotonicMs();
  clock.monotonicMs();
  assert.equal(looks, 2);
});
