import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { LookupQueue, type LookupQueueOptions } from './lookup-queue.ts';

function setUp(limits: Partial<LookupQueueOptions> = {}) {
  const time = new FakeTime();
  const { clock, setTimer } = time;
  const queue = new LookupQueue({ parallelMax: 4, perSecondMax: 10, waitingMax: 100, clock, setTimer, ...limits });
  const begun: string[] = [];
  const refused: string[] = [];
  const ask = (name: string, isKnown = false, waitMs = 2000): void => {
    queue.turn(isKnown, waitMs).then((may) => (may ? begun : refused).push(name));
  };
  return { time, queue, begun, refused, ask };
}

test('so many are under way at once; the others come in turn', async () => {
  const { time, queue, begun, ask } = setUp();
  for (let i = 0; i < 6; i++) ask(`n${i}`);
  await time.pass(0);
  assert.deepEqual(begun, ['n0', 'n1', 'n2', 'n3']);
  queue.ended();
  queue.ended();
  await time.pass(0);
  assert.deepEqual(begun.slice(4), ['n4', 'n5']);
  assert.equal(time.pending, 0);
});

test('unknown names have so many turns in a second', async () => {
  const { time, queue, begun, refused, ask } = setUp({ waitingMax: 1000 });
  const seconds = 10;
  let ended = 0;
  for (let ms = 0; ms < seconds * 1000; ms += 5) {
    ask(`n${ms}`);
    await time.pass(5);
    while (begun.length > ended) {
      ended++;
      queue.ended();
    }
  }
  assert.ok(begun.length >= seconds * 10 - 1, `${begun.length}`);
  assert.ok(begun.length <= (seconds + 1) * 10, `${begun.length}`);
  await time.pass(3000);
  assert.ok(refused.length > 1000);
  assert.equal(queue.waiting, 0);
});

test('known names need no turn of these, and come first', async () => {
  const { time, queue, begun, ask } = setUp({ parallelMax: 1, perSecondMax: 2 });
  for (let i = 0; i < 4; i++) ask(`n${i}`);
  ask('known', true);
  await time.pass(0);
  assert.deepEqual(begun, ['n0']);
  queue.ended();
  await time.pass(0);
  assert.deepEqual(begun, ['n0', 'known']);
  queue.ended();
  await time.pass(0);
  assert.deepEqual(begun, ['n0', 'known', 'n1']);
  queue.ended();
  await time.pass(0);
  assert.equal(begun.length, 3);
  ask('again', true);
  await time.pass(0);
  assert.deepEqual(begun.slice(3), ['again']);
  queue.ended();
  await time.pass(500);
  assert.deepEqual(begun.slice(4), ['n2']);
});

test('one whose turn does not come in time, or that would be one too many, is refused, and takes no turn', async () => {
  const { time, queue, begun, refused, ask } = setUp({ parallelMax: 1, waitingMax: 1 });
  ask('first');
  ask('at once', false, 0);
  ask('waits', false, 50);
  ask('too many');
  await time.pass(0);
  assert.deepEqual(refused, ['at once', 'too many']);
  await time.pass(50);
  assert.deepEqual(refused, ['at once', 'too many', 'waits']);
  queue.ended();
  await time.pass(0);
  assert.deepEqual(begun, ['first']);
  ask('last', false, 0);
  await time.pass(0);
  assert.deepEqual(begun, ['first', 'last']);
});
