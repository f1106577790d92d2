import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildFrontend } from '../routing/record.ts';
import { CacheEntry, CacheTable, entrySize } from './cache-table.ts';

const present = (pattern: string, bytes = 1) =>
  new CacheEntry(pattern, buildFrontend(pattern, { frontend: [pattern], down: new Map() }), bytes, 0);
const absent = (pattern: string) => new CacheEntry(pattern, null, 1, 0);

test('a flood of negative entries evicts only negativeEntries', () => {
  const table = new CacheTable(10, 1000, 5);
  for (let i = 0; i < 10; i++) table.put(present(`p${i}`));
  for (let i = 0; i < 1000; i++) table.put(absent(`a${i}`));
  assert.equal(table.negativeEntries, 5);
  assert.equal(table.size, 15);
  for (let i = 0; i < 10; i++) assert.ok(table.get(`p${i}`));
});

test('what is used stays, what is not goes', () => {
  const table = new CacheTable(10, 1000, 5);
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
});

test('an entry changes sides with its record, and keeps its use', () => {
  const table = new CacheTable(10, 1000, 5);
  table.put(absent('x'));
  const entry = table.get('x');
  assert.ok(entry);
  entry.used = true;
  table.put(present('x', 7));
  assert.deepEqual([table.size, table.negativeEntries, table.bytes, table.get('x')?.used], [1, 0, 7, true]);
  table.put(absent('x'));
  assert.deepEqual([table.size, table.negativeEntries, table.bytes], [1, 1, 1]);
});

test('bounds of entries and bytes hold whatever happens', () => {
  const step = fc.record({
    pattern: fc.integer({ min: 0, max: 20 }).map(String),
    kind: fc.constantFrom('present', 'absent', 'remove', 'use'),
    bytes: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new CacheTable(6, 50, 4);
      for (const { pattern, kind, bytes } of steps) {
        const entry = table.get(pattern);
        if (kind === 'present') table.put(present(pattern, bytes));
        else if (kind === 'absent') table.put(absent(pattern));
        else if (entry !== undefined && kind === 'remove') table.remove(entry);
        else if (entry !== undefined) entry.used = true;
        const entries = [...table.entries()];
        const kept = entries.filter(({ frontend }) => frontend !== null);
        assert.ok(kept.length <= 6 && entries.length - kept.length <= 4);
        assert.ok(kept.reduce((sum, each) => sum + each.bytes, 0) <= 50);
        assert.equal(
          entries.reduce((sum, each) => sum + each.bytes, 0),
          table.bytes,
        );
        assert.equal(table.negativeEntries, entries.length - kept.length);
        if (kind === 'present' && bytes <= 50) assert.equal(table.get(pattern)?.bytes, bytes);
      }
    }),
  );
});

test('the size of an entry grows with what it holds', () => {
  const frontend = buildFrontend('a', { frontend: ['a', 'http://1:1', 'http://2:1'], down: new Map() });
  assert.ok(entrySize('a', frontend) > entrySize('a', null) + 500);
});
