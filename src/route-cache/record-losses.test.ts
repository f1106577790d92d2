import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { KnownRecords } from './known-records.ts';
import { RecordLosses } from './record-losses.ts';

let time: FakeTime;
let losses: RecordLosses;
let known: KnownRecords;
let suspected: number;

beforeEach(() => {
  time = new FakeTime();
  suspected = 0;
  losses = new RecordLosses(1_000_000, time.clock);
  losses.askGuard = () => void suspected++;
  known = new KnownRecords(1_000_000, losses);
});

/** @param count routes, named `0`, `1`, … */
function know(count: number, holder = 1): void {
  known.add(
    Array.from({ length: count }, (_, i) => [`routes ${i}`, `text ${i}`] as const),
    holder,
  );
}

function lose(from: number, to: number, text = 'null', holder = 1): void {
  for (let i = from; i < to; i++) known.add([[`routes ${i}`, text]], holder);
}

const sampled = () => known.sampleRoutes(1000, Math.random);

test('most routes that are gone within five seconds are suspicious, and those of the last five seconds come back', async () => {
  know(200);
  lose(0, 20);
  await time.pass(5001);
  lose(20, 119);
  assert.deepEqual([suspected, known.routes, sampled().routes], [0, 81, 180]);
  lose(119, 120, '');
  assert.equal(suspected, 1);
  lose(120, 130);
  assert.equal(known.routes, 80, 'the last ones stay');
  assert.equal(known.restoreLost().length, 100);
  assert.equal(known.routes, 180);
  assert.equal(known.get('routes 0'), 'null');
  assert.equal(known.get('routes 20'), 'text 20');
});

test('routes that are gone one by one are not, and neither are few, or a small share', async () => {
  know(150);
  for (let i = 0; i < 120; i++) {
    lose(i, i + 1);
    await time.pass(100);
  }
  assert.equal(suspected, 0);
  await time.pass(6000);
  known.clear();
  know(99);
  lose(0, 99);
  assert.equal(suspected, 0);
  await time.pass(6000);
  know(400);
  lose(0, 150);
  assert.equal(suspected, 0);
});

test('changed records whose reading follows are not gone', () => {
  know(150);
  for (let i = 0; i < 150; i++) {
    lose(i, i + 1, '');
    known.add([[`routes ${i}`, 'new']]);
  }
  assert.deepEqual([suspected, sampled().routes], [0, 150]);
});

test('a record that is found absent when it is verified stays until that is judged', () => {
  know(120);
  known.abandon(1);
  const [key = ''] = known.assign(1, 2);
  known.add([[key, 'null']], 2);
  assert.deepEqual([suspected, known.get(key)], [1, 'text 0']);
  lose(5, 6);
  assert.equal(known.get('routes 5'), 'text 5');
  assert.deepEqual(known.releaseLost(true), [key, 'routes 5']);
  assert.deepEqual([known.get(key), known.get('routes 5'), known.routes], ['null', 'null', 118]);
});

test('a record that is read again while lost ones stay is as it was read', () => {
  know(3);
  known.keepLost();
  lose(0, 2);
  known.add([['routes 0', 'new']]);
  known.releaseLost(true);
  assert.deepEqual([known.get('routes 0'), known.get('routes 1')], ['new', 'null']);
});

test('a sample is drawn from routes alone, with the number of all', () => {
  know(500);
  known.add([['certificates a', 'pair']]);
  const { patterns, routes } = known.sampleRoutes(200, Math.random);
  assert.deepEqual([patterns.length, new Set(patterns).size, routes], [200, 200, 500]);
});

test('records that are removed leave nothing to come back', () => {
  know(10);
  lose(0, 5);
  known.remove(['routes 7']);
  assert.deepEqual([known.get('routes 7'), known.routes, known.restoreLost()], [undefined, 4, []]);
});
