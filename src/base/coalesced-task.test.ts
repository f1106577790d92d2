import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CoalescedTask } from './coalesced-task.ts';

/** A task whose runs end when the test says so. */
function setUp() {
  const runs: (() => void)[] = [];
  let begun = 0;
  const task = new CoalescedTask(() => {
    begun++;
    return new Promise((resolve) => void runs.push(resolve));
  });
  const end = async (): Promise<void> => {
    runs.shift()?.();
    await turn();
  };
  return { task, end, begun: () => begun };
}

test('any number of requests during a run cause one more run', async () => {
  const { task, end, begun } = setUp();
  let served = 0;
  for (let count = 0; count < 5; count++) void task.request().then(() => served++);
  assert.equal(begun(), 1);
  await end();
  assert.deepEqual([begun(), served], [2, 0]);
  await end();
  assert.deepEqual([begun(), served], [2, 5]);
  void task.request();
  assert.equal(begun(), 3);
});

test('a request in the turn in which a run ends is not lost', async () => {
  let begun = 0;
  const task = new CoalescedTask(async () => void begun++);
  const first = task.request();
  await first.then(() => task.request());
  assert.equal(begun, 2);
});

test('a task that takes over the request decides when to run again', async () => {
  const taken: boolean[] = [];
  const task: CoalescedTask = new CoalescedTask(async () => {
    await turn();
    taken.push(task.takeRequest());
  });
  const run = task.request();
  void task.request();
  await run;
  await task.request();
  assert.deepEqual(taken, [true, false]);
});

test('a closed task does not run again, and closing waits for the current run', async () => {
  const { task, end, begun } = setUp();
  void task.request();
  void task.request();
  let isClosed = false;
  const closed = task.close().then(() => {
    isClosed = true;
  });
  await turn();
  assert.equal(isClosed, false);
  await end();
  await closed;
  await task.request();
  assert.equal(begun(), 1);
});
