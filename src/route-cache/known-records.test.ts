import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRoute } from '../stores/contract.ts';
import { certificateOf, certificateText, KnownRecords, routeOf, routeText } from './known-records.ts';

test('the latest text of a record is known, within the bytes allowed: the oldest is dropped first', () => {
  const known = new KnownRecords(500);
  known.add([
    ['routes a', '1'],
    ['routes b', '2'],
  ]);
  known.add([['routes a', '3']]);
  assert.equal(known.get('routes a'), '3');
  assert.equal(known.size, 2);
  known.add([['routes c', 'x'.repeat(100)]]);
  assert.deepEqual([known.get('routes b'), known.get('routes a')], [undefined, '3']);
  assert.ok(known.bytes <= 500);
  known.clear();
  assert.deepEqual([known.size, known.bytes], [0, 0]);
});

test('records come in lists, oldest first', () => {
  const known = new KnownRecords(10_000);
  known.add(['a', 'b', 'c'].map((key) => [key, key] as const));
  assert.deepEqual(
    [...known.chunks(2)].map((chunk) => chunk.map(([key]) => key)),
    [['a', 'b'], ['c']],
  );
});

test('a route and a certificate are the same after the way through their text', () => {
  const mark = { untilMs: 5, sinceMs: 1, reason: 'x', instance: 'i' };
  const route: StoredRoute = { frontend: ['id', 'http://a:1#weight=2', 7], down: new Map([['http://a:1', mark]]) };
  assert.deepEqual(routeOf(routeText(route)), route);
  assert.equal(routeOf(routeText(null)), null);
  const pair = { certificate: 'c', key: 'k' };
  assert.deepEqual(certificateOf(certificateText(pair)), pair);
  assert.equal(certificateOf(certificateText(null)), null);
});

test('absences, of which clients can cause as many as they like, push out no record, and have a bound', () => {
  const known = new KnownRecords(1000);
  known.add([['routes a', '1']]);
  for (let count = 0; count < 60_000; count++) known.add([[`routes x${count}`, 'null']]);
  assert.equal(known.get('routes a'), '1');
  assert.equal(known.size, 50_001);
  known.add([['routes a', 'null']]);
  assert.equal(known.get('routes a'), 'null');
  assert.equal(known.bytes, 0);
  known.add([['routes a', '2']]);
  assert.equal(known.get('routes a'), '2');
});
