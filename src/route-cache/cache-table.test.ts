import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildFrontend } from '../routing/record.ts';
import { CacheEntry, entrySize } from './cache-entry.ts';
import { CacheTable, type CacheTableLimits } from './cache-table.ts';

const limits: CacheTableLimits = {
  entriesMax: 10,
  bytesMax: 100_000,
  activeEntriesMax: 10,
  activeBytesMax: 100_000,
  negativeEntriesMax: 5,
};

function frontendOf(pattern: string, backends = 0, port = 1) {
  const urls = Array.from({ length: backends }, (_, i) => `http://backend-${i}.test:${port}`);
  return buildFrontend(pattern, { frontend: [pattern, ...urls], down: new Map() });
}

function present(pattern: string, backends = 0, port = 1, epoch = 0) {
  const frontend = frontendOf(pattern, backends, port);
  return new CacheEntry(pattern, frontend, entrySize(pattern, frontend), epoch);
}

const absent = (pattern: string, epoch = 0) => new CacheEntry(pattern, null, entrySize(pattern, null), epoch);
const makeTable = (changes: Partial<CacheTableLimits> = {}) => new CacheTable({ ...limits, ...changes }, () => true);

test('a flood of negative entries evicts only negative entries', () => {
  const table = makeTable();
  for (let i = 0; i < 10; i++) table.put(present(`p${i}`));
  for (let i = 0; i < 1000; i++) table.put(absent(`a${i}`));
  assert.equal(table.negativeEntries, 5);
  assert.equal(table.size, 15);
  for (let i = 0; i < 10; i++) assert.ok(table.get(`p${i}`));
});

test('what is used stays, what is not goes', () => {
  for (const activeEntriesMax of [1, 3, 10]) {
    const table = makeTable({ activeEntriesMax });
    for (let i = 0; i < 10; i++) table.put(present(`p${i}`));
    for (let i = 0; i < 100; i++) {
      for (const hot of ['p1', 'p5']) {
        const entry = table.get(hot);
        assert.ok(entry);
        entry.used = true;
      }
      table.put(present(`n${i}`));
    }
    assert.equal(table.size, 10);
    assert.equal(table.evictions, 100);
  }
});

test('an entry changes sides with its record, and keeps its use', () => {
  const table = makeTable();
  table.put(absent('x'));
  const entry = table.get('x');
  assert.ok(entry);
  entry.used = true;
  table.put(present('x'));
  assert.deepEqual([table.size, table.negativeEntries, table.get('x')?.used], [1, 0, true]);
  table.put(absent('x'));
  assert.deepEqual([table.size, table.negativeEntries], [1, 1]);
  assert.equal(table.bytes, entrySize('x', null));
});

describe('objects that are not used', () => {
  test('are dropped, and made again as they were', () => {
    const table = makeTable({ activeEntriesMax: 1 });
    for (let i = 0; i < 10; i++) table.put(present(`p${i}`, 2, i + 1, i));
    assert.deepEqual([table.size, table.active], [10, 1]);
    for (let i = 0; i < 10; i++) {
      const entry = table.get(`p${i}`);
      assert.deepEqual(entry?.frontend, frontendOf(`p${i}`, 2, i + 1));
      assert.equal(entry.epoch, i);
      assert.equal(table.get(`p${i}`), entry);
    }
    assert.deepEqual([table.size, table.active], [10, 1]);
  });

  test('stay of hosts that are used again, however many others come', () => {
    const table = makeTable({
      entriesMax: 10_000,
      bytesMax: 10_000_000,
      activeEntriesMax: 80,
      activeBytesMax: 10_000_000,
    });
    const frequent = Array.from({ length: 50 }, (_, i) => `f${i}`);
    for (const pattern of frequent) {
      table.put(present(pattern));
      table.use(pattern);
    }
    const entries = frequent.map((pattern) => table.get(pattern));
    for (let i = 0; i < 1000; i++) table.put(present(`once${i}`));
    for (let i = 0; i < 1000; i++) table.use(`once${i}`);
    // Reading a changed record is no use.
    for (let i = 0; i < 100; i++) for (let n = 0; n < 3; n++) table.get(`once${i}`);
    assert.ok(table.active <= 80);
    for (const [i, pattern] of frequent.entries()) assert.equal(table.get(pattern), entries[i]);
  });

  test('keep what was noted of them', () => {
    const table = makeTable({ activeEntriesMax: 1 });
    const [entry, other] = [present('a'), present('b')];
    table.put(entry);
    entry.overdue = true;
    table.setEpoch(entry, -1);
    table.put(other);
    assert.notEqual(table.get('a'), entry);
    assert.deepEqual([table.get('a')?.overdue, table.get('a')?.epoch], [true, -1]);
    assert.deepEqual([table.get('b')?.overdue, table.get('b')?.epoch], [false, 0]);
  });

  test('stay while requests use them, however many these are', () => {
    const table = new CacheTable(
      { ...limits, entriesMax: 1000, activeEntriesMax: 2 },
      ({ load }) => load.inFlight === 0,
    );
    const entries = Array.from({ length: 500 }, (_, i) => present(`p${i}`));
    for (const entry of entries) {
      if (entry.frontend !== null) entry.frontend.load.inFlight++;
      table.put(entry);
    }
    for (const entry of entries) assert.equal(table.get(entry.pattern), entry);
    for (const entry of entries) if (entry.frontend !== null) entry.frontend.load.inFlight--;
    for (let i = 0; i < 500; i++) table.put(present(`q${i}`));
    assert.ok(table.active <= 2);
    assert.equal(table.size, 1000);
  });

  test('stay while requests use them, also when many others come', () => {
    const table = new CacheTable({ ...limits, entriesMax: 1000 }, ({ load }) => load.inFlight === 0);
    const entries = Array.from({ length: 300 }, (_, i) => present(`p${i}`));
    for (const entry of entries) {
      if (entry.frontend !== null) entry.frontend.load.inFlight++;
      table.put(entry);
    }
    for (let i = 0; i < 5000; i++) table.put(present(`q${i}`));
    assert.equal(table.size, 1000);
    for (const entry of entries) assert.equal(table.get(entry.pattern), entry);
  });

  test('are kept in the number of bytes that they may take', () => {
    const size = present('p10', 10).bytes;
    const table = makeTable({ activeEntriesMax: 160, activeBytesMax: 16 * 3 * size });
    for (let i = 10; i < 20; i++) table.put(present(`p${i}`, 10));
    assert.deepEqual([table.size, table.active], [10, 3]);
    table.put(present('larger than all together', 1000));
    assert.deepEqual([table.size, table.active], [10, 1]);
    assert.equal(table.get('larger than all together')?.frontend?.backends.length, 1000);
  });
});

test('entries of other epochs are counted', () => {
  const table = makeTable({ activeEntriesMax: 1 });
  for (const pattern of ['a', 'b', 'c']) table.put(present(pattern));
  table.put(absent('d'));
  assert.equal(table.countOutdated(), 0);
  table.turn(1);
  assert.equal(table.countOutdated(), 4);
  table.put(present('a', 0, 1, 1));
  table.put(absent('d', 1));
  assert.equal(table.countOutdated(), 2);
  const entry = table.get('a');
  assert.ok(entry);
  table.setEpoch(entry, -1);
  assert.equal(table.countOutdated(), 3);
  table.put(absent('b', 1));
  assert.equal(table.countOutdated(), 2);
  table.remove(entry);
  assert.equal(table.countOutdated(), 1);
});

test('bounds hold, and an entry is as it was put, whatever happens', () => {
  const step = fc.record({
    pattern: fc.integer({ min: 0, max: 20 }).map(String),
    kind: fc.constantFrom('present', 'present', 'absent', 'remove', 'use'),
    backends: fc.integer({ min: 0, max: 5 }),
    port: fc.integer({ min: 1, max: 65_535 }),
  });
  const largest = present('20', 5, 65_535).bytes;
  const chosen = { entriesMax: 6, bytesMax: 500, activeEntriesMax: 3, activeBytesMax: 4000, negativeEntriesMax: 4 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200, size: 'max' }), (steps) => {
      const table = makeTable(chosen);
      const model = new Map<string, CacheEntry>();
      for (const { pattern, kind, backends, port } of steps) {
        const entry = table.get(pattern);
        if (kind === 'present' || kind === 'absent') {
          const made = kind === 'present' ? present(pattern, backends, port) : absent(pattern);
          table.put(made);
          model.set(pattern, made);
          // Six entries may need a little more than the bytes that there are: the others go.
          assert.equal(table.get(pattern), made);
        } else if (entry !== undefined && kind === 'remove') {
          table.remove(entry);
          assert.equal(table.get(pattern), undefined);
        } else if (entry !== undefined) entry.used = true;
        assert.ok(table.active - table.negativeEntries <= 3);
        assert.ok(table.size - table.negativeEntries <= 6 && table.negativeEntries <= 4);
        // A ring may have one that is larger than all that it may have.
        assert.ok(table.bytes <= 500 + 4000 + 4 * entrySize('20', null) + 2 * largest);
      }
      let found = 0;
      for (const [pattern, made] of model) {
        const entry = table.get(pattern);
        if (entry === undefined) continue;
        found++;
        assert.deepEqual(entry.frontend, made.frontend);
      }
      assert.equal(found, table.size);
    }),
    { numRuns: 300 },
  );
});

test('the size of an entry grows with what it holds', () => {
  assert.ok(present('a', 2).bytes > absent('a').bytes + 500);
});
