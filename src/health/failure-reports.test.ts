import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { FailuresByUrl } from '../stores/failures.ts';
import { FailureReports } from './failure-reports.ts';

describe('reports of failures', () => {
  let time: FakeTime;
  let written: [pattern: string, counts: Record<string, number>][];
  let errors: unknown[];
  let add: (pattern: string, failures: FailuresByUrl) => Promise<void>;
  let reports: FailureReports;

  beforeEach(() => {
    time = new FakeTime();
    written = [];
    errors = [];
    add = async (pattern, failures) => {
      written.push([pattern, Object.fromEntries([...failures].map(([url, { count }]) => [url, count]))]);
    };
    reports = new FailureReports({
      failures: { add: (pattern, failures) => add(pattern, failures) },
      instance: 'web-1',
      clock: time.clock,
      onError: (error) => errors.push(error),
      setTimer: time.setTimer,
    });
  });

  test('are written together, a moment after the first', async () => {
    reports.failed('a.example', 'http://1', 'status 500');
    reports.failed('a.example', 'http://1', 'BACKEND_RESET');
    reports.failed('a.example', 'http://2', 'BACKEND_RESET');
    reports.failed('b.example', 'http://1', 'BACKEND_RESET');
    await time.pass(1999);
    assert.deepEqual(written, []);
    await time.pass(1);
    assert.deepEqual(written, [
      ['a.example', { 'http://1': 2, 'http://2': 1 }],
      ['b.example', { 'http://1': 1 }],
    ]);
    assert.equal(time.pending, 0);
    reports.failed('a.example', 'http://1', 'status 500');
    await time.pass(2000);
    assert.deepEqual(written.at(-1), ['a.example', { 'http://1': 1 }]);
  });

  test('wait while the store is away, and lose nothing', async () => {
    const store = add;
    add = () => Promise.reject(new Error('away'));
    reports.failed('a.example', 'http://1', 'x');
    reports.failed('b.example', 'http://1', 'x');
    await time.pass(2000);
    reports.failed('a.example', 'http://1', 'x');
    await time.pass(2000);
    assert.equal(errors.length, 2);
    add = store;
    await time.pass(2000);
    assert.deepEqual(Object.fromEntries(written), { 'a.example': { 'http://1': 2 }, 'b.example': { 'http://1': 1 } });
    assert.equal(time.pending, 0);
  });

  test('are bounded: routes, backends of a route, and routes in one round', async () => {
    for (let i = 0; i < 3000; i++) reports.failed(`h${i}.example`, 'http://1', 'x');
    for (let i = 0; i < 300; i++) reports.failed('h0.example', `http://${i}`, 'x');
    await time.pass(2000);
    assert.equal(written.length, 200);
    assert.equal(Object.keys(written[0]?.[1] ?? {}).length, 100);
    await time.pass(60_000);
    assert.equal(written.length, 2000);
    assert.equal(time.pending, 0);
  });

  test('are written at once when the process is to end', async () => {
    reports.failed('a.example', 'http://1', 'x');
    reports.flush();
    await time.pass(0);
    assert.deepEqual(written, [['a.example', { 'http://1': 1 }]]);
  });

  test('are not written after the end', async () => {
    reports.failed('a.example', 'http://1', 'x');
    reports.close();
    reports.failed('a.example', 'http://1', 'x');
    await time.pass(10_000);
    assert.deepEqual(written, []);
    assert.equal(time.pending, 0);
  });
});
