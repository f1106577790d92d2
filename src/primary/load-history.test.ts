import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { LoadHistory, type LoadReading } from './load-history.ts';

describe('the load of the last hour', () => {
  let time: FakeTime;
  let requests: number;
  let read: () => Promise<LoadReading>;
  let history: LoadHistory;

  beforeEach(() => {
    time = new FakeTime();
    requests = 0;
    read = async () => ({ values: { 'hipache_responses_total/2xx': requests }, primaryBytes: 1 });
    history = new LoadHistory({ read: () => read(), clock: time.clock, setTimer: time.setTimer });
  });

  const counts = (): (number | undefined)[] => history.since(0).map(({ classes }) => classes[2]);

  test('has windows of this instance, and those of others as long as they are heard of', async () => {
    requests = 20;
    await time.pass(10_000);
    const text = history.text;
    assert.notEqual(text, '');
    history.heard([text, 'no load', text]);
    await time.pass(10_000);
    assert.deepEqual(counts(), [20, 40]);
    assert.deepEqual(
      history.since(0).map(({ instances }) => instances),
      [1, 3],
    );
    await time.pass(30_000);
    assert.equal(history.since(0).at(-1)?.instances, 1);
    assert.equal(history.since(time.nowMs - 15_000).length, 2);
  });

  test('keeps an hour', async () => {
    await time.pass(2 * 3600 * 1000);
    const kept = history.since(0);
    assert.equal(kept.length, 360);
    assert.equal(kept.at(-1)?.atMs, time.nowMs);
  });

  test('has the counts of a reading that failed in the next window', async () => {
    const working = read;
    read = () => Promise.reject(new Error('no worker'));
    requests = 5;
    await time.pass(10_000);
    assert.deepEqual(counts(), []);
    read = working;
    await time.pass(10_000);
    assert.deepEqual(counts(), [5]);
    assert.equal(history.since(0)[0]?.seconds, 20);
  });

  test('ends', async () => {
    history.close();
    await time.pass(60_000);
    assert.deepEqual([counts(), time.pending], [[], 0]);
  });
});
