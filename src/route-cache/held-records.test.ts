import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeldRecords } from './held-records.ts';

const step = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'delete', 'hold', 'abandon', 'abandon all', 'assign'),
  n: fc.integer({ min: 0, max: 30 }),
  holder: fc.integer({ min: 0, max: 3 }),
  // Large ones, so that blocks are given back and records move.
  length: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 100_000, max: 400_000 })),
  letter: fc.constantFrom('a', 'é', '€'),
});

test('are a map of texts, in which each record has one holder, or is given to one', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 300, size: 'max' }), (steps) => {
      const records = new HeldRecords();
      const model = new Map<string, { text: string; holder: number; isAssigned: boolean }>();
      for (const { kind, n, holder, length, letter } of steps) {
        const key = `routes ${n}.test`;
        const known = model.get(key);
        if (kind === 'put') {
          const text = letter.repeat(length);
          records.delete(key);
          records.put(key, text, holder);
          model.set(key, { text, holder, isAssigned: false });
        } else if (kind === 'delete') {
          assert.equal(records.delete(key), model.delete(key));
        } else if (kind === 'hold') {
          records.hold(key, holder);
          if (known !== undefined) Object.assign(known, { holder, isAssigned: false });
        } else if (kind === 'assign') {
          const free = [...model].filter(([, one]) => one.holder === 0);
          const given = records.assign(n % 4, holder + 1);
          assert.equal(given.length, Math.min(n % 4, free.length));
          for (const one of given) {
            assert.equal(model.get(one)?.holder, 0);
            Object.assign(model.get(one) ?? {}, { holder: holder + 1, isAssigned: true });
          }
        } else {
          records.abandon(kind === 'abandon' ? holder : null);
          for (const one of model.values()) {
            if (kind === 'abandon all' || one.holder === holder) Object.assign(one, { holder: 0, isAssigned: false });
          }
        }
        assert.equal(records.size, model.size);
        const unverified = [...model.values()].filter((one) => one.isAssigned || one.holder === 0);
        assert.equal(records.unverified, unverified.length);
      }
      assert.deepEqual([...records.keys()].toSorted(), [...model.keys()].toSorted());
      for (const [key, { text, holder, isAssigned }] of model) {
        assert.deepEqual([records.holderOf(key), records.isAssigned(key)], [holder, isAssigned]);
        assert.ok(records.get(key) === text);
      }
      if (model.size > 0) assert.ok(model.has(records.draw(Math.random)));
      assert.ok(model.size === 0 || model.has(records.oldest()));
    }),
    { numRuns: 100 },
  );
});

test('a key that no client can ask for is not kept', () => {
  const records = new HeldRecords();
  records.put('routes ł.test', 'x', 1);
  assert.deepEqual([records.size, records.get('routes ł.test'), records.bytes], [0, undefined, 0]);
});

test('a hundred thousand take little more than their characters, and each is drawn', () => {
  const records = new HeldRecords();
  const text = JSON.stringify([['shop.example', 'http://10.0.0.1:8080', 'http://10.0.0.2:8080'], []]);
  for (let n = 0; n < 100_000; n++) records.put(`routes shop-${n}.example`, text, 1);
  const each = records.bytes / records.size - text.length - 'routes shop-99999.example'.length;
  assert.ok(each < 40, `${each} bytes`);
  let seed = 1;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const drawn = Array.from({ length: 10_000 }, () => Number(/\d+/.exec(records.draw(random))?.[0]));
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = drawn.filter((n) => Math.floor(n / 10_000) === tenth).length;
    assert.ok(count > 800 && count < 1200, `${count} of tenth ${tenth}`);
  }
});
