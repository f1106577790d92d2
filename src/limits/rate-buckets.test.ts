import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { type BucketUse, type Rate, RateBuckets } from './rate-buckets.ts';

/** The buckets of some workers of one instance that hear of each other. */
function setUp(workers = 1) {
  const time = new FakeTime();
  const reports: BucketUse[] = [];
  const all: RateBuckets[] = Array.from(
    { length: workers },
    (_, self) =>
      new RateBuckets({
        clock: time.clock,
        setTimer: time.setTimer,
        workers,
        report: (uses) => {
          reports.push(...uses);
          for (const [i, other] of all.entries()) if (i !== self) other.debit(uses);
        },
      }),
  );
  return { time, all, reports, buckets: all[0] as RateBuckets };
}

const tenPerSecond: Rate = { perSecond: 10, burst: 5 };

/** How many of `count` attempts get a token. */
function taken(buckets: RateBuckets, key: string, rate: Rate, count: number): number {
  let got = 0;
  for (let i = 0; i < count; i++) if (buckets.take(key, rate) === 0) got++;
  return got;
}

test('a burst passes, then as many as the rate allows, each key for itself', async () => {
  const { time, buckets } = setUp();
  assert.equal(taken(buckets, 'a', tenPerSecond, 20), 5);
  assert.equal(buckets.take('a', tenPerSecond), 100);
  assert.equal(taken(buckets, 'b', tenPerSecond, 20), 5);
  await time.pass(1000);
  assert.equal(taken(buckets, 'a', tenPerSecond, 20), 5, 'the burst limits what is saved');
  let got = 0;
  for (let i = 0; i < 100; i++) {
    await time.pass(10);
    got += taken(buckets, 'a', tenPerSecond, 1);
  }
  assert.equal(got, 10);
});

test('workers of one instance keep to one rate, however requests are spread', async () => {
  for (const workersUsed of [1, 2, 4]) {
    const { time, all } = setUp(4);
    const rate: Rate = { perSecond: 100, burst: 100 };
    let got = 0;
    for (let i = 0; i < 1000; i++) {
      await time.pass(10);
      for (const buckets of all.slice(0, workersUsed)) got += taken(buckets, 'a', rate, 2);
    }
    const expected = rate.burst + 10 * rate.perSecond;
    assert.ok(Math.abs(got / expected - 1) < 0.1, `${got} in ten seconds, over ${workersUsed} workers`);
  }
});

test('a key that cannot exceed its limit is not reported', async () => {
  const { time, all, reports } = setUp(2);
  for (let i = 0; i < 100; i++) {
    await time.pass(1000);
    for (const buckets of all) taken(buckets, 'a', tenPerSecond, 2);
  }
  assert.deepEqual(reports, []);
});

test('an instance has its share of the rate', async () => {
  const { time, buckets } = setUp();
  buckets.share(4);
  const rate: Rate = { perSecond: 100, burst: 40 };
  assert.equal(taken(buckets, 'a', rate, 100), 10);
  await time.pass(200);
  assert.equal(taken(buckets, 'a', rate, 100), 5);
});

test('a change of the rate gives no token back that is spent, and a late report of the former one is passed over', () => {
  const { buckets } = setUp();
  taken(buckets, 'a', tenPerSecond, 3);
  assert.equal(taken(buckets, 'a', { perSecond: 1, burst: 10 }, 20), 4);
  buckets.debit([['a', 100, 10, 5]]);
  assert.equal(buckets.left('a', { perSecond: 1, burst: 10 }), 0);
});

test('requests that come evenly to all workers, each below the rate, do not exceed it together', async () => {
  for (const [workers, rate] of [
    [4, { perSecond: 20, burst: 20 }],
    [8, { perSecond: 1, burst: 60 }],
  ] as const) {
    const { time, all } = setUp(workers);
    const seconds = 600;
    let got = 0;
    for (let i = 0; i < seconds * 20; i++) {
      await time.pass(50);
      for (const buckets of all) if (i % Math.max(1, 20 / rate.perSecond) < 1) got += taken(buckets, 'a', rate, 1);
    }
    const allowed = rate.burst + rate.perSecond * seconds;
    assert.ok(got <= allowed * 1.1, `${got} of ${allowed}, ${workers} workers`);
  }
});

test('any number of keys has bounded memory, and those in use are kept', async () => {
  const { time, buckets } = setUp();
  for (let i = 0; i < 99_990; i++) buckets.take(`old ${i}`, tenPerSecond);
  await time.pass(10_000);
  taken(buckets, 'used', tenPerSecond, 5);
  for (let i = 0; i < 50_000; i++) buckets.take(`new ${i}`, tenPerSecond);
  assert.ok(buckets.size <= 100_000);
  assert.notEqual(buckets.take('used', tenPerSecond), 0);
});
