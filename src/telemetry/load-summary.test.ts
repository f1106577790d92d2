import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type LoadSummary, loadQuantileMs, loadText, parseLoad, sumLoads, summarize } from './load-summary.ts';

const before = {
  'hipache_responses_total/2xx': 100,
  'hipache_request_duration_seconds/0.01': 100,
  hipache_sent_bytes_total: 1000,
  'hipache_request_errors_total/BACKEND_CONNECT_REFUSED': 1,
};
const after = {
  'hipache_responses_total/2xx': 140,
  'hipache_responses_total/5xx': 10,
  'hipache_request_duration_seconds/0.01': 140,
  'hipache_request_duration_seconds/+Inf': 10,
  hipache_sent_bytes_total: 6000,
  hipache_tunnels_open: 7,
  'hipache_request_errors_total/BACKEND_CONNECT_REFUSED': 4,
  'hipache_request_errors_total/HOST_UNKNOWN': 5,
  'hipache_worker_resident_bytes/1': 100,
  'hipache_worker_resident_bytes/2': 200,
};

function load(changes: Partial<LoadSummary> = {}): LoadSummary {
  return { ...summarize(before, after, { atMs: 1000, seconds: 10, primaryBytes: 50 }), ...changes };
}

describe('a summary of load', () => {
  test('has what has happened between two readings', () => {
    assert.deepEqual(load(), {
      ...{ atMs: 1000, seconds: 10, instances: 1, classes: [0, 0, 40, 0, 0, 10], failures: 3 },
      durations: [
        [10, 40],
        [null, 10],
      ],
      ...{ bytes: 5000, tunnels: 7, inFlight: 0, clientConnections: 0, residentBytes: 350 },
    });
    const first = summarize(null, before, { atMs: 1, seconds: 10, primaryBytes: 0 });
    assert.deepEqual(first.classes, [0, 0, 100, 0, 0, 0]);
  });

  test('counts nothing where a total is lower than before', () => {
    assert.deepEqual(summarize(after, before, { atMs: 1, seconds: 10, primaryBytes: 0 }).classes, [0, 0, 0, 0, 0, 0]);
  });

  test('is summed over instances with other windows and buckets', () => {
    const other = load({ seconds: 5, durations: [[0.5, 20]], tunnels: 1 });
    const sum = sumLoads(2000, 10, [load(), other]);
    assert.deepEqual(sum.durations, [
      [0.5, 40],
      [10, 40],
      [null, 10],
    ]);
    assert.deepEqual([sum.classes[2], sum.classes[5], sum.bytes, sum.tunnels], [120, 30, 15_000, 8]);
    assert.deepEqual([sum.atMs, sum.instances, sum.residentBytes], [2000, 2, 700]);
    assert.equal(sumLoads(2000, 10, []).instances, 0);
  });

  test('has quantiles', () => {
    assert.equal(loadQuantileMs(load({ durations: [[10, 100]] }), 0.5), 7.5);
    assert.equal(loadQuantileMs(load({ durations: [[null, 1]] }), 0.5), 60_000);
    assert.equal(loadQuantileMs(load({ durations: [] }), 0.5), null);
  });

  test('is read from its text, and from nothing else', () => {
    assert.deepEqual(parseLoad(loadText(load())), load());
    const wrong = [
      ...['', '{}', 'null', '[]', '1', loadText(load()).slice(1)],
      ...[{ classes: [1] }, { seconds: 0 }, { bytes: -1 }, { tunnels: '1' }, { durations: [[1]] }].map((change) =>
        JSON.stringify({ ...load(), ...change }),
      ),
      JSON.stringify({ ...load(), durations: Array.from({ length: 1000 }, (_, index) => [index, 1]) }),
    ];
    for (const text of wrong) assert.equal(parseLoad(text), null, text);
  });
});
