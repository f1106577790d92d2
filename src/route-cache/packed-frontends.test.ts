import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildFrontend } from '../routing/record.ts';
import { PackedFrontends } from './packed-frontends.ts';
import { PlaceIndex } from './place-index.ts';
import { RecordLog } from './record-log.ts';

const body = (length: number, fill: number) => Buffer.alloc(length, fill);

describe('a log of records', () => {
  test('has every record that was not freed, and its memory is given back', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'add', 'free', 'move', 'clean'),
      length: fc.oneof(
        { weight: 30, arbitrary: fc.integer({ min: 0, max: 1000 }) },
        fc.constantFrom(400_000, 1_048_552, 2_000_000),
      ),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 150, size: 'max' }), (steps) => {
        const log = new RecordLog();
        const model = new Map<number, { key: string; length: number; fill: number }>();
        const moved = (place: number) => {
          const record = model.get(place);
          assert.ok(record);
          model.delete(place);
          model.set(log.move(place), record);
        };
        steps.forEach(({ kind, length, which }, i) => {
          const places = [...model.keys()];
          const chosen = places[which % places.length];
          if (kind === 'add') {
            const key = `key-${'x'.repeat(which % 50)}-${i}`;
            model.set(log.add(key, i, i * 2, i & 0xff, body(length, i)), { key, length, fill: i });
          } else if (chosen === undefined) {
            assert.equal(log.oldest(), 0);
          } else if (kind === 'free') {
            log.free(chosen);
            model.delete(chosen);
          } else {
            moved(kind === 'move' ? chosen : log.oldest());
          }
        });
        let bytes = 0;
        for (const [place, { key, length, fill }] of model) {
          assert.ok(log.has(place, key) && !log.has(place, `${key}x`) && log.key(place) === key);
          assert.deepEqual([log.hash(place), log.epoch(place), log.state(place)], [fill, fill * 2, fill & 0xff]);
          const at = log.bodyAt(place);
          assert.ok(
            log
              .bytes(place)
              .subarray(at, at + length)
              .equals(body(length, fill)),
          );
          bytes += log.size(place);
        }
        assert.equal(log.liveBytes, bytes);
        // A whole round leaves nothing but live records.
        for (let left = model.size; left > 0; left--) moved(log.oldest());
        for (const place of [...model.keys()]) log.free(place);
        assert.equal(log.oldest(), 0);
        assert.equal(log.liveBytes, 0);
        assert.equal(log.deadBytes, 0);
      }),
      { numRuns: 40 },
    );
  });
});

test('an index is a map, whatever the hashes are', () => {
  const hashes: Readonly<Record<string, (n: number) => number>> = {
    all: () => 7,
    negative: (n) => -1 - (n % 5),
    last: (n) => -1 - (n % 7) + (n % 3) * 2,
    spread: (n) => Math.imul(n + 1, 0x9e3779b1),
  };
  const step = fc.record({ n: fc.integer({ min: 0, max: 80 }), kind: fc.constantFrom('add', 'add', 'delete', 'move') });
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(hashes)),
      fc.array(step, { minLength: 100, maxLength: 400, size: 'max' }),
      (name, steps) => {
        const hashOf = hashes[name] as (n: number) => number;
        const log = new RecordLog();
        const index = new PlaceIndex(log);
        const model = new Map<number, number>();
        for (const { n, kind } of steps) {
          const place = model.get(n);
          if (place === undefined) {
            if (kind !== 'add') continue;
            const added = log.add(`key-${n}`, hashOf(n), 0, 0, body(n, n));
            index.add(hashOf(n), added);
            model.set(n, added);
          } else if (kind === 'move') {
            const moved = log.move(place);
            index.replace(hashOf(n), place, moved);
            model.set(n, moved);
          } else if (kind === 'delete') {
            index.delete(hashOf(n), place);
            log.free(place);
            model.delete(n);
          }
          assert.equal(index.size, model.size);
        }
        for (let n = 0; n <= 80; n++) assert.equal(index.get(`key-${n}`, hashOf(n)), model.get(n) ?? 0);
      },
    ),
  );
});

describe('packed frontends', () => {
  const frontendOf = (pattern: string, backends: number) =>
    buildFrontend(pattern, {
      frontend: [pattern, ...Array.from({ length: backends }, (_, i) => `http://10.0.0.${i % 256}:${1 + i}`)],
      down: new Map(),
    });
  const hashOf = (n: number) => Math.imul(n + 1, 0x9e3779b1);

  test('take little more memory than their bytes, however often they change, and whatever their sizes are', () => {
    const packed = new PackedFrontends(100_000, 1 << 30, {
      unpacked() {},
      isPinned: () => false,
      evicted() {},
      moved() {},
    });
    const log = (packed as unknown as { readonly log: RecordLog }).log;
    let most = 0;
    for (let count = 0; count < 60_000; count++) {
      const n = count % 2000;
      packed.put(frontendOf(`host-${n}.test`, 1 + (count % 7)), hashOf(n), 0);
      if (count % 500 === 0) packed.put(frontendOf('large.test', 2000 + count / 500), -1, 0);
      most = Math.max(most, log.deadBytes - log.liveBytes / 4);
    }
    assert.equal(packed.size, 2001);
    assert.ok(most <= 1.2 * 1024 * 1024, `${most} bytes`);
  });

  test('give back the memory of most of them, once these are removed', () => {
    const packed = new PackedFrontends(100_000, 1 << 30, {
      unpacked() {},
      isPinned: () => false,
      evicted() {},
      moved() {},
    });
    const log = (packed as unknown as { readonly log: RecordLog }).log;
    for (let n = 0; n < 50_000; n++) packed.put(frontendOf(`host-${n}.test`, 2), hashOf(n), 0);
    const before = log.liveBytes;
    for (let n = 0; n < 50_000; n++) if (n % 10 > 0) packed.delete(packed.find(`host-${n}.test`, hashOf(n)));
    assert.equal(packed.size, 5000);
    assert.ok(log.liveBytes < before / 9);
    assert.ok(log.deadBytes < 1.1 * 1024 * 1024 + log.liveBytes / 4, `${log.deadBytes} of ${before} bytes`);
    for (let n = 0; n < 50_000; n += 10) assert.notEqual(packed.find(`host-${n}.test`, hashOf(n)), 0);
  });

  test('move few bytes for one that has to go', () => {
    const packed = new PackedFrontends(70, 1 << 30, {
      unpacked() {},
      isPinned: () => false,
      evicted() {},
      moved: () => void moves++,
    });
    let moves = 0;
    for (let n = 0; n < 70; n++) packed.put(frontendOf(`host-${n}.test`, 5000), hashOf(n), 0);
    packed.put(frontendOf('next.test', 1), -1, 0);
    assert.ok(moves > 0 && moves < 10, `${moves}`);
  });

  test('leave no gap in the memory of a million', { timeout: 60_000 }, () => {
    const packed = new PackedFrontends(50_000, 1 << 30, {
      unpacked() {},
      isPinned: () => false,
      evicted() {},
      moved() {},
    });
    for (let n = 0; n < 200_000; n++) {
      packed.put(frontendOf(`host-${n}.test`, 2), hashOf(n), 0);
      assert.equal(packed.size, Math.min(n + 1, 50_000));
    }
    assert.equal(packed.evictions, 150_000);
    assert.ok(packed.bytes / packed.size < 128, `${packed.bytes / packed.size} bytes each`);
  });
});
