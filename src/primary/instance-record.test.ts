import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { loadConfig } from '../config/load.ts';
import type { ChangeListener, Store } from '../stores/contract.ts';
import { InstanceRecord } from './instance-record.ts';

const shared = 'redis://127.0.0.1:6379';

describe('the record of an instance', () => {
  let time: FakeTime;
  let events: string[];
  let warnings: string[];
  /** Of the store. */
  let revision: number;
  /** The lowest of the workers. */
  let applied: number;
  let written: () => Promise<void>;
  let listener: ChangeListener | null;

  beforeEach(() => {
    time = new FakeTime();
    events = [];
    warnings = [];
    revision = 7;
    applied = 7;
    written = async () => {};
    listener = null;
  });

  function storeOf(instances = true): Store {
    return {
      capabilities: { changes: 'push' },
      instances: instances
        ? {
            revision: async () => revision,
            write: async (
              instance: string,
              fields: { readonly revision: string; readonly workers: string },
              ttlMs: number,
            ) => {
              await written();
              events.push(`write ${instance} ${fields.revision} of ${fields.workers} for ${ttlMs}`);
            },
            remove: async (instance: string) => void events.push(`remove ${instance}`),
          }
        : null,
      watch: async (to: ChangeListener) => {
        listener = to;
      },
      close: async () => void events.push('close'),
    } as unknown as Store;
  }

  function recordIn(driver: string, open: () => Promise<Store> = async () => storeOf()): InstanceRecord {
    const { config } = loadConfig({ env: {}, cwd: '/', driver, isRoot: true });
    const warn = (message: string) => void warnings.push(message);
    return new InstanceRecord({
      config,
      instance: 'a',
      log: { warn } as unknown as Log,
      ask: async () => ({
        workers: [
          { number: 1, revision: Math.min(applied + 1, revision) },
          { number: 2, revision: applied },
        ],
        drains: [],
      }),
      open: async () => {
        events.push('open');
        return open();
      },
      setTimer: time.setTimer,
    });
  }

  test('is not written to a store without a collection of instances', async () => {
    const record = recordIn(shared, async () => storeOf(false));
    await record.start();
    await record.close();
    assert.deepEqual(events, ['open', 'close']);
    assert.equal(time.pending, 0);
  });

  test('is written at the start, every ten seconds, and removed at the end', async () => {
    const record = recordIn(shared);
    await record.start();
    await time.pass(9999);
    assert.deepEqual(events, ['open', 'write a 7 of 2 for 30000']);
    await time.pass(1);
    await turn();
    assert.equal(events.length, 3);
    await record.close();
    assert.deepEqual(events.slice(3), ['remove a', 'close']);
    assert.equal(time.pending, 0);
  });

  test('follows a revision until the workers have applied it, with growing pauses', async () => {
    const record = recordIn(shared);
    await record.start();
    await time.pass(0);
    revision = 9;
    listener?.revised?.();
    await time.pass(100);
    assert.equal(events.at(-1), 'write a 7 of 2 for 30000');
    const before = events.length;
    await time.pass(4000);
    const asked = events.length - before;
    assert.ok(asked >= 2 && asked <= 8, `${asked} times`);
    applied = 9;
    await time.pass(10_000);
    assert.equal(events.at(-1), 'write a 9 of 2 for 30000');
    await record.close();
  });

  test('is written again at once when the store was emptied, and claims no revision that the store does not have', async () => {
    const record = recordIn(shared);
    await record.start();
    await time.pass(0);
    revision = 1;
    listener?.expired();
    await time.pass(100);
    assert.equal(events.at(-1), 'write a 0 of 2 for 30000');
    applied = 1;
    await time.pass(4000);
    assert.equal(events.at(-1), 'write a 1 of 2 for 30000');
    await record.close();
  });

  test('is written ten times a second at most, however often the store changes', async () => {
    const record = recordIn(shared);
    await record.start();
    await time.pass(0);
    for (let i = 0; i < 1000; i++) {
      applied = ++revision;
      listener?.revised?.();
      await time.pass(1);
    }
    assert.ok(events.length <= 12, `${events.length}`);
    await time.pass(100);
    assert.equal(events.at(-1), 'write a 1007 of 2 for 30000');
    await record.close();
    assert.equal(time.pending, 0);
  });

  test('is written once for many revisions that come while it is written', async () => {
    const record = recordIn(shared);
    const gate = Promise.withResolvers<void>();
    written = () => gate.promise;
    await record.start();
    for (let i = 0; i < 100; i++) listener?.revised?.();
    written = async () => {};
    gate.resolve();
    await time.pass(5000);
    assert.deepEqual(events, ['open', 'write a 7 of 2 for 30000', 'write a 7 of 2 for 30000']);
    await record.close();
  });

  test('reports a failed write, except those that the workers report, and writes again', async () => {
    const record = recordIn(shared);
    written = () => Promise.reject(new HipacheError('STORE_UNAVAILABLE', 'gone'));
    await record.start();
    await time.pass(0);
    assert.deepEqual(warnings, []);
    written = () => Promise.reject(new Error('odd'));
    await time.pass(10_000);
    await turn();
    assert.deepEqual(warnings, ['the record of this instance cannot be written']);
    written = async () => {};
    await time.pass(10_000);
    await turn();
    assert.equal(events.at(-1), 'write a 7 of 2 for 30000');
    await record.close();
  });

  test('is written regularly to a store that does not report changes', async () => {
    const watch = () => Promise.reject(new Error('not allowed'));
    const record = recordIn(shared, async () => ({ ...storeOf(), watch }));
    await record.start();
    await time.pass(10_000);
    await turn();
    assert.deepEqual(events, ['open', 'write a 7 of 2 for 30000', 'write a 7 of 2 for 30000']);
    await record.close();
  });

  test('closes a store that opens after the end', async () => {
    const gate = Promise.withResolvers<Store>();
    const record = recordIn(shared, () => gate.promise);
    const started = record.start();
    await record.close();
    gate.resolve(storeOf());
    await started;
    assert.deepEqual(events, ['open', 'close']);
  });
});
