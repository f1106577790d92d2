import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { OnePerTurn } from './one-per-turn.ts';

test('those that wait go on one by one, with a turn of the event loop between them', async () => {
  const gate = new OnePerTurn();
  const gone: number[] = [];
  const all = [1, 2, 3].map(async (number) => {
    await gate.turn();
    gone.push(number);
  });
  let before = 0;
  for (let turns = 0; gone.length < 3 && turns < 100; turns++) {
    await turn();
    assert.ok(gone.length <= before + 1, `${gone.length} after ${before}`);
    before = gone.length;
  }
  await Promise.all(all);
  assert.deepEqual(gone, [1, 2, 3]);
  await gate.turn();
});
