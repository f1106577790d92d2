import assert from 'node:assert/strict';
import { beforeEach, describe, mock, test } from 'node:test';
import type { Config } from '../config/config.ts';
import { KnownRecords } from '../route-cache/known-records.ts';
import type { RecordText } from './messages.ts';
import { SharedRecordsOfWorkers } from './shared-records.ts';

class FakeWorker {
  readonly id: number;
  readonly config: Config;
  readonly known: RecordText[] = [];
  readonly verified: string[] = [];
  answers = 0;

  constructor(id: number, driver: string) {
    this.id = id;
    this.config = { driver: [driver] } as unknown as Config;
  }

  tellKnown(records: readonly RecordText[], isLast: boolean): void {
    this.known.push(...records);
    if (isLast) this.answers++;
  }

  tellVerify(keys: readonly string[]): void {
    this.verified.push(...keys);
  }
}

describe('the records that workers share', () => {
  let serving: FakeWorker | null;
  let records: SharedRecordsOfWorkers;

  beforeEach(() => {
    serving = null;
    records = new SharedRecordsOfWorkers(new KnownRecords(1_000_000), ['one'], () => serving);
  });

  test('go to a worker that asks', () => {
    records.read(new FakeWorker(1, 'one'), [['routes a', '1']]);
    const other = new FakeWorker(2, 'one');
    records.recall(other);
    assert.deepEqual([other.known, other.answers], [[['routes a', '1']], 1]);
  });

  test('are those of one store: with another one, nothing of the former is known', () => {
    const [former, next] = [new FakeWorker(1, 'one'), new FakeWorker(2, 'two')];
    records.read(former, [['routes a', '1']]);
    records.read(next, [['routes a', '2']]);
    records.recall(next);
    assert.deepEqual([next.known, next.answers], [[], 1]);
    records.follow(['two']);
    records.read(former, [['routes a', '3']]);
    records.recall(next);
    assert.deepEqual([next.known, next.answers], [[], 2]);
    records.read(next, [['routes a', '4']]);
    records.recall(next);
    assert.deepEqual(next.known, [['routes a', '4']]);
    records.recall(former);
    assert.deepEqual([former.known, former.answers], [[], 1]);
  });

  test('are read by another worker when theirs has gone, a hundred at a time', (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const gone = new FakeWorker(1, 'one');
    records.read(
      gone,
      Array.from({ length: 250 }, (_, i) => [`routes ${i}`, '1'] as const),
    );
    records.gone(gone);
    const worker = new FakeWorker(2, 'one');
    serving = worker;
    records.assign();
    assert.equal(worker.verified.length, 100);
    records.assign();
    mock.timers.tick(99);
    assert.equal(worker.verified.length, 100);
    for (const length of [200, 250, 250]) {
      mock.timers.tick(100);
      assert.equal(worker.verified.length, length);
    }
    records.gone(worker);
    const last = new FakeWorker(3, 'one');
    serving = last;
    mock.timers.tick(100);
    records.assign();
    assert.equal(last.verified.length, 100);
    records.close();
    mock.timers.tick(1000);
    assert.equal(last.verified.length, 100);
  });
});
