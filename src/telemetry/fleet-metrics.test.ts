import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters } from '../proxy/counters.ts';
import { FleetMetrics } from './fleet-metrics.ts';
import { dataPlaneMetrics, fleetMetrics, type Metric, primaryMetrics } from './metric-table.ts';

const metrics: readonly Metric[] = [
  { name: 'requests_total', type: 'counter', help: '', label: 'class' },
  { name: 'open', type: 'gauge', help: '' },
  { name: 'memory', type: 'gauge', help: '', label: 'worker', perWorker: true },
];

function fleet(): FleetMetrics {
  const made = new FleetMetrics(metrics);
  made.update(1, 1, { 'requests_total/2xx': 5, open: 2, memory: 100 });
  made.update(2, 2, { 'requests_total/2xx': 7, 'requests_total/5xx': 1, open: 3, memory: 200 });
  return made;
}

describe('the values of several workers', () => {
  test('are summed, except those that each worker has for itself', () => {
    assert.deepEqual(
      fleet().sum(() => 'serving'),
      {
        'requests_total/2xx': 12,
        'requests_total/5xx': 1,
        open: 5,
        'memory/1': 100,
        'memory/2': 200,
      },
    );
  });

  test('keep the totals of a worker that has gone, while its replacement counts from 0', () => {
    const made = fleet();
    made.gone(1);
    made.update(3, 1, { 'requests_total/2xx': 1, open: 1, memory: 50 });
    const sums = made.sum(() => 'serving');
    assert.equal(sums['requests_total/2xx'], 13);
    assert.equal(sums['open'], 4);
    assert.equal(sums['memory/1'], 50);
    made.gone(3);
    made.gone(3);
    assert.equal(made.sum(() => 'serving')['requests_total/2xx'], 13);
  });

  test('include only totals of a silent worker, and also gauges of a draining one', () => {
    const sums = fleet().sum((id) => (id === 1 ? 'silent' : 'draining'));
    assert.deepEqual(sums, { 'requests_total/2xx': 12, 'requests_total/5xx': 1, open: 3 });
  });
});

describe('the metric table', () => {
  test('has a text for everything that the data plane counts', () => {
    const fields = Object.keys(new Counters());
    assert.deepEqual(Object.keys(dataPlaneMetrics).sort(), fields.sort());
  });

  test('follows Prometheus naming rules, with unique names', () => {
    const all = [...Object.values(primaryMetrics), ...fleetMetrics];
    for (const { name, type, help } of all) {
      assert.match(name, /^hipache_[a-z]+(_[a-z]+)*$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.match(help, /^[A-Z0-9].*\.$/, name);
    }
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
  });
});

test('of a metric with many labels, the highest have series of their own, also of workers that have gone', () => {
  const metric: Metric = { name: 'hosts', type: 'counter', help: '', label: 'host', isTop: true };
  const made = new FleetMetrics([metric], 2);
  const serving = () => made.sum(() => 'serving');
  made.update(1, 1, { 'hosts/a': 5, 'hosts/b': 3, 'hosts/(other)': 1 });
  made.update(2, 2, { 'hosts/c': 4, 'hosts/b': 3 });
  assert.deepEqual(serving(), { 'hosts/a': 5, 'hosts/b': 6, 'hosts/(other)': 5 });
  made.gone(1);
  made.gone(2);
  assert.deepEqual(serving(), { 'hosts/a': 5, 'hosts/b': 6, 'hosts/(other)': 5 });
  const total = (): number => Object.values(serving()).reduce((sum, value) => sum + value, 0);
  const before = total();
  for (let worker = 3; worker < 103; worker++) {
    made.update(worker, 1, { [`hosts/only-${worker}`]: 1 });
    made.gone(worker);
  }
  assert.equal(total(), before + 100);
  assert.equal(serving()['hosts/b'], 6);
});
