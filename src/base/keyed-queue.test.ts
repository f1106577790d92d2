import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { KeyedQueue } from './keyed-queue.ts';

test('tasks of one key follow each other, also after a failure; those of other keys do not wait', async () => {
  const queue = new KeyedQueue();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const task =
    (name: string, waits: Promise<void> = Promise.resolve()) =>
    async () => {
      seen.push(`${name} begins`);
      await waits;
      seen.push(`${name} ends`);
      return name;
    };
  const first = queue.run('a', async () => {
    await task('a1', gate.promise)();
    throw new Error('a1');
  });
  const second = queue.run('a', task('a2'));
  const other = queue.run('b', task('b1'));
  assert.equal(await other, 'b1');
  await turn();
  assert.deepEqual(seen, ['a1 begins', 'b1 begins', 'b1 ends']);
  gate.resolve();
  await assert.rejects(first, /a1/);
  assert.equal(await second, 'a2');
  assert.deepEqual(seen.slice(3), ['a1 ends', 'a2 begins', 'a2 ends']);
});
