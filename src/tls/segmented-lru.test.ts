import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SegmentedLru } from './segmented-lru.ts';

test('a flood of keys that are used once throws out none that were used twice', () => {
  const values = new SegmentedLru<number>(100);
  const hot = Array.from({ length: 80 }, (_, i) => `hot${i}`);
  for (const key of hot) values.set(key, 1);
  for (const key of hot) assert.equal(values.use(key), 1);
  for (let i = 0; i < 10_000; i++) {
    values.set(`flood${i}`, 2);
    assert.ok(values.size <= 100);
  }
  for (const key of hot) assert.equal(values.peek(key), 1, key);
  assert.equal(values.evictions, 80 + 10_000 - 100);
});

test('a part is always left to new keys: they stay once they are used again, and the oldest go', () => {
  const values = new SegmentedLru<number>(8);
  for (let i = 0; i < 8; i++) values.set(`old${i}`, i);
  for (let i = 0; i < 8; i++) values.use(`old${i}`);
  values.set('new', 9);
  assert.equal(values.peek('old0'), undefined);
  assert.equal(values.use('new'), 9);
  values.set('once', 10);
  assert.equal(values.peek('new'), 9);
  assert.equal(values.peek('old1'), undefined);
});

test('without values that stay, new ones have all of the room', () => {
  const values = new SegmentedLru<number>(Number.POSITIVE_INFINITY, 1000);
  for (let i = 0; i < 20; i++) values.set(`key${i}`, i, 100);
  assert.equal(values.size, 10);
  assert.equal(values.bytes, 1000);
});

test('a replaced value stays as its predecessor did; one that is too large is not kept', () => {
  const gone: string[] = [];
  const values = new SegmentedLru<string>(Number.POSITIVE_INFINITY, 1000, (key, value) => gone.push(`${key} ${value}`));
  values.set('a', 'first', 100);
  values.use('a');
  values.set('a', 'second', 200);
  for (let i = 0; i < 20; i++) values.set(`key${i}`, 'x', 100);
  assert.equal(values.peek('a'), 'second');
  values.set('a', 'huge', 1001);
  assert.equal(values.peek('a'), undefined);
  const evicted = Array.from({ length: 12 }, (_, i) => `key${i} x`);
  assert.deepEqual(gone, ['a first', ...evicted, 'a second']);
});

test('it keeps to its bounds, and counts the bytes that it has', () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 12 }), what: fc.nat(3), bytes: fc.nat(60) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const held = new Map<string, number>();
      const values = new SegmentedLru<number>(6, 100, (key) => {
        if (values.peek(key) === undefined) held.delete(key);
      });
      for (const { key, what, bytes } of steps) {
        const name = `k${key}`;
        if (what === 0) {
          values.delete(name);
          held.delete(name);
        } else if (what === 1) {
          assert.equal(values.use(name), held.get(name));
        } else {
          held.set(name, bytes);
          values.set(name, bytes, bytes);
        }
        assert.ok(values.size <= 6 && values.bytes <= 100);
        assert.equal(values.size, held.size);
        assert.equal(
          values.bytes,
          [...held.values()].reduce((sum, one) => sum + one, 0),
        );
      }
    }),
  );
});
