import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { HostDrain } from '../base/host-drain.ts';
import type { WorkerState } from '../processes/worker-process.ts';
import { workerMetrics } from '../telemetry/metric-table.ts';
import { InstanceMetrics } from './instance-metrics.ts';

interface FakeWorker {
  readonly id: number;
  readonly number: number;
  state: WorkerState;
  /** Its next values; null: it does not respond. */
  values: Record<string, number> | null;
  drains: readonly HostDrain[];
  refresh(timeoutMs: number): Promise<boolean>;
  ask(subject: string, question: unknown): Promise<unknown>;
}

describe('the metrics of an instance', () => {
  let metrics: InstanceMetrics;
  let workers: FakeWorker[];

  function add(id: number, state: WorkerState, values: Record<string, number> | null): FakeWorker {
    const worker: FakeWorker = {
      ...{ id, number: id, state, values, drains: [] },
      refresh: async () => {
        if (worker.values === null) return false;
        metrics.reported(worker, { values: worker.values, drains: worker.drains });
        return true;
      },
      ask: async (subject, question) => (worker.values === null ? null : { worker: id, subject, question }),
    };
    workers.push(worker);
    return worker;
  }

  const revisionOf = (revision: number) => ({ [workerMetrics.storeRevision.name]: revision });

  beforeEach(() => {
    workers = [];
    metrics = new InstanceMetrics(
      5000,
      {
        recovery: { counters: { probes: 3, recovered: 2, dropped: 1 }, size: 4 },
        health: {
          counters: { succeeded: 90, failed: 8, turnedDown: 7, turnedUp: 6, dropped: 5 },
          size: 40,
          downCount: 3,
        },
        platform: { counters: { sent: 11, failed: 12, dropped: 13 } },
        orders: { counters: { begun: 14, issued: 15, failed: 16, checkFailed: 17 }, left: 18 },
      },
      { size: 5, bytes: 600, unverified: 0 },
    );
  });

  function attach(wantedCount: number): void {
    metrics.attach({
      wantedCount,
      get all() {
        return workers;
      },
      get readyCount() {
        return workers.filter(({ state }) => state === 'ready').length;
      },
    });
  }

  async function series(name: string): Promise<string> {
    const { text } = await metrics.metrics();
    return text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .join('\n');
  }

  test('are healthy once every worker serves', () => {
    assert.equal(metrics.isHealthy(), false);
    attach(2);
    add(1, 'ready', {});
    const second = add(2, 'starting', {});
    assert.equal(metrics.isHealthy(), false);
    second.state = 'ready';
    assert.equal(metrics.isHealthy(), true);
  });

  test('say up to which revision every serving worker is', async () => {
    attach(2);
    assert.deepEqual((await metrics.applied()).workers, []);
    add(1, 'ready', revisionOf(7));
    const second = add(2, 'ready', revisionOf(5));
    add(3, 'draining', revisionOf(1));
    assert.deepEqual(await metrics.applied(), {
      workers: [
        { number: 1, revision: 7 },
        { number: 2, revision: 5 },
      ],
      drains: [],
    });
    second.values = revisionOf(8);
    assert.deepEqual(
      (await metrics.applied()).workers.map(({ revision }) => revision),
      [7, 8],
    );
  });

  test('sum what drains at the workers that serve, and at those that they replace', async () => {
    attach(1);
    const drain = { pattern: 'a.example', untilMs: 9, inFlight: 3, tunnelsEnded: 2, requestsEnded: 1 };
    add(1, 'ready', revisionOf(1)).drains = [drain];
    add(2, 'draining', revisionOf(1)).drains = [drain, { ...drain, untilMs: 10 }];
    const { drains } = await metrics.applied();
    assert.deepEqual(drains, [
      { ...drain, inFlight: 6, tunnelsEnded: 4, requestsEnded: 2 },
      { ...drain, untilMs: 10 },
    ]);
  });

  test('have the health checks by their results', async () => {
    assert.match(await series('hipache_health_checks_total'), /result="success"\} 90\n.*result="failure"\} 8$/);
    assert.match(await series('hipache_health_transitions_total'), /to="down"\} 7\n.*to="up"\} 6$/);
    assert.equal(await series('hipache_backends_checked'), 'hipache_backends_checked 40');
    assert.equal(await series('hipache_backends_failing'), 'hipache_backends_failing 3');
    assert.equal(await series('hipache_health_checks_dropped_total'), 'hipache_health_checks_dropped_total 5');
  });

  test('passes a question about a host on to the workers, and leaves out those that do not answer', async () => {
    add(1, 'ready', {});
    add(2, 'ready', null);
    attach(2);
    assert.deepEqual(await metrics.explain('who'), [{ worker: 1, subject: 'explain', question: 'who' }]);
  });

  test('sum the workers, keep the totals of those that are gone, and count those that do not respond', async () => {
    attach(2);
    const first = add(1, 'ready', { hipache_requests_total: 5, hipache_requests_in_flight: 1 });
    add(2, 'ready', { hipache_requests_total: 7, hipache_requests_in_flight: 2 });
    assert.equal(await series('hipache_requests_total'), 'hipache_requests_total 12');
    assert.equal(await series('hipache_requests_in_flight'), 'hipache_requests_in_flight 3');
    first.values = null;
    assert.equal(await series('hipache_workers_unresponsive'), 'hipache_workers_unresponsive 1');
    assert.equal(await series('hipache_requests_in_flight'), 'hipache_requests_in_flight 2');
    first.state = 'gone';
    workers.shift();
    metrics.gone(first);
    assert.equal(await series('hipache_requests_total'), 'hipache_requests_total 12');
  });

  test('have those of the primary', async () => {
    attach(1);
    metrics.restarted('crash');
    assert.match(await series('hipache_worker_restarts_total'), /reason="crash"\} 1\n.*reason="stuck"\} 0/);
    assert.equal(await series('hipache_start_time_seconds'), 'hipache_start_time_seconds 5');
    assert.equal(await series('hipache_backends_probed'), 'hipache_backends_probed 4');
    assert.equal(await series('hipache_recovery_probes_total'), 'hipache_recovery_probes_total 3');
    assert.equal(await series('hipache_certificate_orders_left'), 'hipache_certificate_orders_left 18');
    assert.match(await series('hipache_certificate_orders_total'), /result="checkFailed"\} 17/);
  });
});
