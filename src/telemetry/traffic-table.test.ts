import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrafficTable } from './traffic-table.ts';

test('the entries with the most requests come first, and the rest is summed up', () => {
  const table = new TrafficTable(10);
  for (const [key, requests] of [
    ['a', 1],
    ['b', 5],
    ['c', 3],
  ] as const) {
    table.of(key).window.requests += requests;
    table.of(key).window.bytes += 10 * requests;
  }
  assert.deepEqual(
    table.top(2).map(([label, { requests, bytes }]) => [label, requests, bytes]),
    [
      ['b', 5, 50],
      ['c', 3, 30],
      ['(other)', 1, 10],
    ],
  );
});

test('a flood of names takes neither memory nor the counts of busy hosts, and nothing is lost', () => {
  const table = new TrafficTable(100);
  // That all of the few entries that are looked at are busy ones has a chance of 1 in 2 million.
  for (let host = 0; host < 5; host++) table.of(`busy${host}`).window.requests += 1000;
  for (let name = 0; name < 10_000; name++) table.of(`random${name}`).window.requests++;
  const top = table.top(5);
  assert.equal(top.filter(([label]) => label.startsWith('busy')).length, 5);
  assert.equal(
    top.reduce((sum, [, { requests }]) => sum + requests, 0),
    15_000,
  );
});

test('failures without a request are those of their window', () => {
  const table = new TrafficTable(10);
  for (let i = 0; i < 3; i++) {
    table.of('a').window.errors += 2;
    table.turn();
  }
  const { recent, errors } = table.of('a');
  assert.deepEqual([recent.errors, errors], [2, 6]);
  table.turn();
  assert.equal(table.of('a').recent.errors, 0);
});
