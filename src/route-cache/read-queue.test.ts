import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ReadQueue } from './read-queue.ts';

test('a read beyond the limit fails once, even if it becomes urgent in the same turn', async () => {
  const events: string[] = [];
  const queue = new ReadQueue({ read: async (patterns) => patterns.map(() => null) }, 5000, () => () => {}, {
    sent: () => {},
    landed: ({ pattern }) => void (pattern === 'last' && events.push('landed')),
    failed: (_, error) => void events.push(error.message),
    onInternalError: (error) => void events.push(error.message),
  });
  for (let i = 0; i <= 100_000; i++) queue.fetch(`p${i}`, false);
  events.length = 0;
  const read = queue.fetch('last', false);
  assert.equal(queue.fetch('last', true), read);
  read.waiters.push((error) => void events.push(`waiter: ${error?.message}`));
  while (!(await queue.settled()));
  await turn();
  const message = 'more than 100000 patterns are waiting to be read from the store';
  assert.deepEqual(
    events.filter((event) => event !== message),
    [`waiter: ${message}`],
  );
});
