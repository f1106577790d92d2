import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { systemClock } from '../base/clock.ts';
import { ReadQueue } from './read-queue.ts';

const options = { readTimeoutMs: 5000, clock: systemClock, setTimer: () => () => {} };

test('a read beyond the limit fails once, even if it becomes urgent in the same turn', async () => {
  const events: string[] = [];
  const queue = new ReadQueue({ read: async (patterns) => patterns.map(() => null) }, options, {
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

test('large records of one reading land one after the other, with turns of the event loop between them', async () => {
  const order: string[] = [];
  const record = { frontend: Array.from({ length: 4000 }, () => 'http://a:1'), down: new Map() };
  const small = { frontend: ['id'], down: new Map() };
  const queue = new ReadQueue(
    { read: async (patterns) => patterns.map((pattern) => (pattern.startsWith('large') ? record : small)) },
    options,
    {
      sent: () => {},
      landed: ({ pattern }) => void order.push(pattern),
      failed: (_, error) => void order.push(error.message),
      onInternalError: (error) => void order.push(error.message),
    },
  );
  for (const pattern of ['small 1', 'large 1', 'small 2', 'large 2', 'large 3', 'small 3']) queue.fetch(pattern, true);
  const settled = queue.settled();
  while (!order.includes('small 3')) {
    await turn();
    order.push('turn');
  }
  assert.equal(await settled, true);
  const landed = order.join(', ').replace(/^(turn, )+|(, turn)+$/g, '');
  assert.equal(landed, 'small 1, large 1, small 2, large 2, turn, large 3, small 3');
});

describe('what is read together', () => {
  let reads: { readonly patterns: readonly string[]; readonly answer: () => void }[];
  let queue: ReadQueue;
  let time: FakeTime;

  beforeEach(() => {
    reads = [];
    const read = (patterns: readonly string[]) =>
      new Promise<null[]>((resolve) => reads.push({ patterns, answer: () => resolve(patterns.map(() => null)) }));
    const events = { sent: () => {}, landed: () => {}, failed: () => {}, onInternalError: () => {} };
    time = new FakeTime();
    queue = new ReadQueue({ read }, { ...options, ...time }, events);
  });

  const asked = () => reads.map(({ patterns }) => patterns.join(' '));

  /** A changed record, b, waits because another one, a, has just been read. */
  async function waiting(): Promise<void> {
    queue.fetch('a', false);
    await turn();
    reads[0]?.answer();
    await turn();
    queue.fetch('b', false);
    await turn();
    assert.deepEqual(asked(), ['a']);
  }

  test('requests of one turn of the event loop', async () => {
    for (const pattern of ['a', 'b', 'c']) queue.fetch(pattern, true);
    await turn();
    assert.deepEqual(asked(), ['a b c']);
    queue.fetch('d', true);
    await turn();
    assert.deepEqual(asked(), ['a b c', 'd'], 'a request does not wait for the reads of others');
  });

  test('changes while a read is under way, with the next request if that comes first', async () => {
    for (const pattern of ['a', 'b', 'c']) {
      queue.fetch(pattern, false);
      await turn();
    }
    assert.deepEqual(asked(), ['a']);
    queue.fetch('d', true);
    await turn();
    assert.deepEqual(asked(), ['a', 'd b c']);
    queue.fetch('e', false);
    await turn();
    reads[0]?.answer();
    await turn();
    assert.deepEqual(asked(), ['a', 'd b c']);
    reads[1]?.answer();
    await time.pass(2);
    assert.deepEqual(asked(), ['a', 'd b c'], 'for a moment after the start of the last read as well');
    await time.pass(1);
    assert.deepEqual(asked(), ['a', 'd b c', 'e']);
  });

  test('changes that come within a moment, and the first after a pause waits for no other', async () => {
    for (let ms = 0; ms < 30; ms++) {
      queue.fetch(`p${ms}`, false);
      await time.pass(1);
      for (const { answer } of reads) answer();
    }
    assert.ok(reads.length <= 12, `${reads.length} reads`);
    await time.pass(3);
    const before = reads.length;
    queue.fetch('after a pause', false);
    await turn();
    assert.deepEqual(asked().slice(before), ['after a pause']);
    for (const { answer } of reads) answer();
    await turn();
    assert.equal(time.pending, 0);
  });

  test('a request for a record that waits to be read again is read at once', async () => {
    await waiting();
    queue.fetch('b', true);
    await turn();
    assert.deepEqual(asked(), ['a', 'b']);
  });

  test('reads that end do not make changes wait longer', async () => {
    for (const pattern of ['a', 'b', 'c']) {
      queue.fetch(pattern, true);
      await turn();
    }
    queue.fetch('d', false);
    await time.pass(19);
    reads[0]?.answer();
    await time.pass(1);
    assert.deepEqual(asked(), ['a', 'b', 'c', 'd']);
  });

  test('changes that have waited while as many reads as may be were under way are read with the end of one', async () => {
    for (const pattern of ['a', 'b', 'c', 'd']) {
      queue.fetch(pattern, true);
      await turn();
    }
    queue.fetch('e', false);
    await time.pass(25);
    assert.equal(reads.length, 4);
    reads[0]?.answer();
    await turn();
    assert.deepEqual(asked(), ['a', 'b', 'c', 'd', 'e']);
  });

  test('no timer is left after the end', async () => {
    await waiting();
    queue.close();
    assert.equal(time.pending, 0);
  });

  test('changes that wait do not delay a request, nor the end of what is under way', async () => {
    await waiting();
    queue.fetch('c', true);
    await turn();
    assert.deepEqual(asked(), ['a', 'c b']);
    reads[1]?.answer();
    await turn();
    queue.fetch('d', false);
    await turn();
    const settled = queue.settled();
    assert.deepEqual(asked(), ['a', 'c b', 'd']);
    reads[2]?.answer();
    assert.equal(await settled, true);
  });

  test('changes wait for a slow read for a moment only', async () => {
    queue.fetch('a', true);
    await turn();
    queue.fetch('b', false);
    await time.pass(19);
    assert.deepEqual(asked(), ['a']);
    await time.pass(2);
    assert.deepEqual(asked(), ['a', 'b']);
    for (const { answer } of reads) answer();
    await turn();
    assert.equal(time.pending, 0);
  });

  test('changes wait for no read once many wait', async () => {
    queue.fetch('a', false);
    await turn();
    for (let i = 0; i < 40; i++) queue.fetch(`p${i}`, false);
    await turn();
    assert.deepEqual(
      reads.map(({ patterns }) => patterns.length),
      [1, 40],
    );
  });
});
