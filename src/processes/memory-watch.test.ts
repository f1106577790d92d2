import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { collectGarbage, MemoryWatch } from './memory-watch.ts';

test('only memory that remains after a garbage collection is reported', async () => {
  let bytes = 200;
  let looks = 0;
  let collected = 0;
  const told: number[] = [];
  const watch = new MemoryWatch({
    bytesMax: 100,
    everyMs: 5,
    residentBytes: () => {
      looks++;
      return bytes;
    },
    collectGarbage: () => {
      collected++;
      if (collected === 1) bytes = 90;
    },
    onOver: (residentBytes) => told.push(residentBytes),
  });
  await until('checks that find little', () => looks >= 5);
  assert.equal(collected, 1);
  assert.deepEqual(told, []);
  bytes = 300;
  await until('the report', () => told.length > 0);
  assert.equal(told[0], 300);
  watch.close();
});

test('garbage can be collected without a flag at the process start', () => {
  let garbage: unknown[] | null = Array.from({ length: 300_000 }, (_, index) => ({ index }));
  assert.equal(garbage.length, 300_000);
  const before = process.memoryUsage().heapUsed;
  garbage = null;
  collectGarbage();
  assert.ok(process.memoryUsage().heapUsed < before - 3_000_000);
});
