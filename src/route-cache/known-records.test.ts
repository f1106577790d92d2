import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRoute } from '../stores/contract.ts';
import {
  allChanged,
  certificateOf,
  certificateText,
  KnownRecords,
  knownKey,
  routeOf,
  routeText,
  splitKey,
} from './known-records.ts';

test('the latest text of a record is known, within the bytes allowed: the oldest is dropped first', () => {
  const known = new KnownRecords(200);
  known.add([
    ['routes a', '1'],
    ['routes b', '2'],
  ]);
  known.add([['routes a', '3']]);
  assert.equal(known.get('routes a'), '3');
  assert.equal(known.size, 2);
  known.add([['routes c', 'x'.repeat(100)]]);
  assert.deepEqual([known.get('routes b'), known.get('routes a')], [undefined, '3']);
  assert.ok(known.bytes <= 200);
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

test('a record is forgotten by the word of its holder, not by that of another worker', () => {
  const known = new KnownRecords(10_000);
  known.add([['routes a', '1']], 1);
  known.add([['routes a', '']], 2);
  assert.equal(known.get('routes a'), '1');
  known.add([['routes a', '']], 1);
  assert.equal(known.get('routes a'), undefined);
  known.add([['routes a', 'null']], 1);
  known.add([['routes a', '2']], 2);
  known.add([['routes a', '']], 1);
  assert.equal(known.get('routes a'), '2', 'the one that read it last holds it');
  known.abandon(2);
  known.add([['routes a', '']], 1);
  assert.equal(known.get('routes a'), undefined, 'nobody held it');
  assert.deepEqual([known.size, known.bytes], [0, 0]);
});

test('records whose holder has gone are given to another worker, once', () => {
  const known = new KnownRecords(10_000);
  known.add(
    [
      ['routes a', '1'],
      ['routes b', 'null'],
      ['certificates a', '2'],
    ],
    1,
  );
  known.add([['routes c', '3']], 2);
  assert.deepEqual(known.assign(10, 3), []);
  known.abandon(1);
  assert.equal(known.get('routes a'), '1', 'still known');
  assert.deepEqual(known.assign(2, 3), ['routes a', 'certificates a']);
  assert.deepEqual(known.assign(2, 2), ['routes b']);
  assert.deepEqual(known.assign(2, 2), []);
  known.abandon(3);
  assert.deepEqual(known.assign(10, 2), ['routes a', 'certificates a']);
  known.add([allChanged], 2);
  assert.deepEqual(known.assign(10, 4).toSorted(), ['certificates a', 'routes a', 'routes b', 'routes c']);
});

test('a record that is dropped or read again is given to nobody', () => {
  const known = new KnownRecords(10_000);
  known.add(
    [
      ['routes a', '1'],
      ['routes b', '2'],
    ],
    1,
  );
  known.abandon(1);
  known.add(
    [
      ['routes a', '3'],
      ['routes b', ''],
    ],
    2,
  );
  assert.deepEqual(known.assign(10, 3), []);
});

test('keys are taken apart as they were made', () => {
  for (const collection of ['routes', 'certificates'] as const) {
    assert.deepEqual(splitKey(knownKey(collection, '*.a b.example')), { collection, pattern: '*.a b.example' });
  }
});
