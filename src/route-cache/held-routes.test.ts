import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { HeldRoutes } from './held-routes.ts';

let time: FakeTime;
let held: HeldRoutes;
let asked: number;
let dropped: string[];
let verified: string[];

beforeEach(() => {
  time = new FakeTime();
  asked = 0;
  dropped = [];
  verified = [];
  held = new HeldRoutes({
    ask: () => void asked++,
    drop: (pattern) => void dropped.push(pattern),
    verify: (pattern) => void verified.push(pattern),
    clock: time.clock,
  });
});

test('an absence that the store has reported is believed at once', () => {
  held.changed(1);
  assert.equal(held.holds('a.com', false), false);
  assert.deepEqual([asked, held.size], [0, 0]);
});

test('an absence that was found is held until it is judged', () => {
  assert.equal(held.holds('a.com', true), true);
  assert.equal(held.holds('a.com', true), true);
  assert.deepEqual([asked, held.size], [1, 1]);
  held.judged();
  assert.deepEqual([dropped, held.size], [['a.com'], 0]);
});

test('what is held after a question is judged by the next one', () => {
  held.holds('a.com', true);
  held.holds('b.com', true);
  held.judged();
  assert.deepEqual([dropped, held.size, asked], [['a.com'], 1, 2]);
  held.judged();
  assert.deepEqual([dropped, held.size, asked], [['a.com', 'b.com'], 0, 2]);
});

test('a route that is found again is not dropped', () => {
  held.holds('a.com', true);
  held.released('a.com');
  held.judged();
  assert.deepEqual([dropped, held.size], [[], 0]);
});

test('absences are held while a hundred routes change in five seconds', async () => {
  held.changed(99);
  assert.equal(held.holds('a.com', false), false);
  held.changed(1);
  assert.equal(held.holds('b.com', false), true);
  held.judged();
  await time.pass(10_000);
  assert.equal(held.holds('c.com', false), false);
  for (let second = 0; second < 60; second++) {
    held.changed(9);
    assert.equal(held.holds('d.com', false), false);
    await time.pass(1000);
  }
});

test('while the alarm is raised every absence is held, and read again when it ends', () => {
  held.holds('a.com', true);
  held.turned(true);
  held.judged();
  assert.equal(held.holds('b.com', false), true);
  assert.deepEqual([dropped, held.size, held.raised], [[], 2, true]);
  held.turned(false);
  assert.deepEqual([dropped, verified, held.size, held.raised], [[], ['a.com', 'b.com'], 0, false]);
});

test('what is held is settled once it is judged; a judgement can be asked for without any', async () => {
  const events: string[] = [];
  await held.settled();
  held.holds('a.com', true);
  void held.settled().then(() => events.push('settled'));
  // The question that is under way was asked before.
  void held.judgement().then(() => events.push('judged'));
  held.judged();
  await time.pass(0);
  assert.deepEqual([events, asked], [[], 2]);
  held.judged();
  await time.pass(0);
  assert.deepEqual([events, asked], [['settled', 'judged'], 2]);
});
