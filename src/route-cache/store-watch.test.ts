import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { ChangeListener, CollectionName, Store } from '../stores/contract.ts';
import { StoreWatch } from './store-watch.ts';

/** Notes down what it hears. */
class Notes implements ChangeListener {
  readonly heard: string[] = [];

  changed(collection: CollectionName, keys: readonly string[]): void {
    this.heard.push(`${collection} ${keys}`);
  }

  expired(): void {
    this.heard.push('expired');
  }

  lost(error: Error): void {
    this.heard.push(`lost: ${error.message}`);
  }

  restored(): void {
    this.heard.push('restored');
  }
}

function setUp(watching: Pick<Store, 'watch'>) {
  const store = { ...watching, capabilities: { changes: 'push' } } as const;
  const time = new FakeTime();
  const log: string[] = [];
  const write = (message: string) => void log.push(message);
  const options = { store, clock: time.clock, setTimer: time.setTimer, log: { info: write, warn: write } };
  return { time, log, watch: new StoreWatch(options) };
}

test('every listener hears everything, one that comes later that the store is there', async () => {
  const { watch, log } = setUp({ watch: async () => {} });
  const first = new Notes();
  watch.add(first);
  await watch.start();
  const second = new Notes();
  watch.add(second);
  watch.changed('routes', ['a', 'b']);
  watch.changed('certificates', ['c']);
  watch.expired();
  watch.lost(new Error('gone'));
  watch.restored();
  assert.deepEqual(first.heard, ['restored', 'routes a,b', 'certificates c', 'expired', 'lost: gone', 'restored']);
  assert.deepEqual(second.heard, first.heard);
  assert.deepEqual(log.length, 2);
});

test('a listener hears only what it has methods for', async () => {
  const { watch } = setUp({ watch: async () => {} });
  const certificates: string[] = [];
  watch.add({
    changed: (collection, keys) => {
      if (collection === 'certificates') certificates.push(...keys);
    },
  });
  let restorations = 0;
  watch.add({ restored: () => restorations++ });
  await watch.start();
  watch.changed('routes', ['a']);
  watch.changed('certificates', ['b']);
  watch.expired();
  watch.revised();
  watch.lost(new Error('gone'));
  assert.deepEqual([certificates, restorations], [['b'], 1]);
});

test('a store that cannot be watched yet is asked again, with growing waits', async () => {
  const attemptsMs: number[] = [];
  const { watch, time, log } = setUp({
    watch: async () => {
      attemptsMs.push(time.nowMs);
      if (attemptsMs.length < 4) throw new Error('not yet');
    },
  });
  const startMs = time.nowMs;
  await watch.start();
  assert.equal(watch.connected, false);
  await time.pass(10_000);
  assert.deepEqual(
    attemptsMs.map((ms) => ms - startMs),
    [0, 100, 300, 700],
  );
  assert.equal(watch.connected, true);
  assert.equal(log.length, 1);
});

test('a store that is not there yet is not taken for connected', async () => {
  const { watch } = setUp({ watch: async (listener) => listener.lost(new Error('refused')) });
  const notes = new Notes();
  watch.add(notes);
  await watch.start();
  assert.equal(watch.connected, false);
  watch.restored();
  assert.equal(watch.connected, true);
  assert.deepEqual(notes.heard, ['lost: refused', 'restored']);
});

test('once closed it passes nothing on, and asks no more', async () => {
  let attempts = 0;
  const { watch, time } = setUp({
    watch: async () => {
      attempts++;
      throw new Error('not yet');
    },
  });
  const notes = new Notes();
  watch.add(notes);
  await watch.start();
  watch.close();
  watch.lost(new Error('gone'));
  await time.pass(60_000);
  assert.deepEqual([attempts, notes.heard.length, time.pending], [1, 0, 0]);
});

test('a listener that throws is reported and reads everything again; the others hear the same', async () => {
  const internal: string[] = [];
  const watch = new StoreWatch({
    store: { capabilities: { changes: 'push' }, watch: async () => {} },
    onInternalError: (where, error) => void internal.push(`${where}: ${error.message}`),
  });
  let expired = 0;
  watch.add({
    changed: () => {
      throw new Error('broken');
    },
    expired: () => void expired++,
  });
  const other = new Notes();
  watch.add(other);
  await watch.start();
  watch.changed('routes', ['a']);
  assert.deepEqual(internal, ['a listener of the store: broken']);
  assert.equal(expired, 1);
  assert.deepEqual(other.heard, ['restored', 'routes a']);
});

test('a listener that throws at every call keeps no other from hearing', async () => {
  const internal: string[] = [];
  const watch = new StoreWatch({
    store: { capabilities: { changes: 'push' }, watch: async () => {} },
    onInternalError: (_where, error) => void internal.push(error.message),
  });
  watch.add({
    expired: () => {
      throw new Error('broken');
    },
  });
  const other = new Notes();
  watch.add(other);
  await watch.start();
  watch.expired();
  assert.deepEqual(internal, ['broken', 'broken']);
  assert.deepEqual(other.heard, ['restored', 'expired']);
});
