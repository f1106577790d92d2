import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { halfSipHash, PatternMap } from './pattern-map.ts';

interface Named {
  readonly pattern: string;
  readonly value: number;
}

const names = 60;
const nameOf = (n: number): string => `host-${n}`.repeat(1 + (n % 3));
const numberOf = (pattern: string): number => Number(/\d+/.exec(pattern)?.[0]);

test('is a map, whatever the hashes are', () => {
  const hashes: Record<string, (pattern: string) => number> = {
    all: () => 7,
    few: (pattern) => pattern.length % 3,
    negative: (pattern) => -1 - (numberOf(pattern) % 5),
    // Homes about the last slots of every size, so that probing goes on at the first.
    last: (pattern) => -1 - (numberOf(pattern) % 7) + (numberOf(pattern) % 3) * 2,
    keyed: (pattern) => halfSipHash(pattern, 1, 2),
  };
  const step = fc.record({
    pattern: fc.integer({ min: 0, max: names - 1 }).map(nameOf),
    kind: fc.constantFrom('set', 'set', 'delete'),
  });
  const steps = fc.array(step, { minLength: 100, maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(hashes)), steps, (name, taken) => {
      const map = new PatternMap<Named>(hashes[name]);
      const model = new Map<string, Named>();
      taken.forEach(({ pattern, kind }, value) => {
        if (kind === 'set') {
          const entry = { pattern, value };
          map.set(entry);
          model.set(pattern, entry);
        } else {
          map.delete(pattern);
          model.delete(pattern);
        }
        assert.equal(map.size, model.size);
        for (let n = value % 7; n < names; n += 7) assert.equal(map.get(nameOf(n)), model.get(nameOf(n)));
      });
      for (let n = 0; n < names; n++) assert.equal(map.get(nameOf(n)), model.get(nameOf(n)));
      assert.deepEqual(new Set(map.values()), new Set(model.values()));
    }),
  );
});

test('grows to many and shrinks to none', () => {
  const map = new PatternMap<Named>();
  for (let value = 0; value < 20_000; value++) map.set({ pattern: `host-${value}.example`, value });
  assert.equal(map.size, 20_000);
  for (let value = 0; value < 20_000; value++) assert.equal(map.get(`host-${value}.example`)?.value, value);
  for (let value = 0; value < 20_000; value++) {
    map.delete(`host-${value}.example`);
    assert.equal(map.get(`host-${value}.example`), undefined);
    if (value < 19_999) assert.equal(map.get('host-19999.example')?.value, 19_999);
  }
  assert.equal(map.size, 0);
  assert.deepEqual([...map.values()], []);
  assert.equal(map.get('host-1.example'), undefined);
});

test('HalfSipHash-1-3 gives the values of the test vectors of Linux (lib/test_siphash.c)', () => {
  const vectors = [
    0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6, 0x577999b1,
    0xc839caed, 0xe4fa32cf, 0x959246ee,
  ];
  const bytes = Buffer.from(vectors.map((_, i) => i));
  vectors.forEach((expected, length) => {
    assert.equal(halfSipHash(bytes.toString('latin1', 0, length), 0x03020100, 0x07060504) >>> 0, expected);
  });
});
