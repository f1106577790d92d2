import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../../test/helpers/free-port.ts';
import { until } from '../../../test/helpers/until.ts';
import { openRedis } from './redis-store.ts';

test('a pause between two attempts to connect is never longer than the longest one', async (t) => {
  t.mock.method(Math, 'random', () => 0.999_999);
  const pauses: number[] = [];
  const realTimeout = globalThis.setTimeout;
  t.mock.method(globalThis, 'setTimeout', (action: () => void, delayMs?: number) => {
    if (delayMs !== undefined && delayMs >= 16 && delayMs < 1000) pauses.push(delayMs);
    return realTimeout(action, delayMs);
  });
  const timings = { retryFirstMs: 16, retryMaxMs: 40 };
  const store = await openRedis([`redis://127.0.0.1:${await freePort()}`], { serving: true, timings });
  t.after(() => store.close());
  await until('several attempts', () => pauses.filter((ms) => ms === 40).length >= 3);
  assert.deepEqual(
    [...new Set(pauses)].sort((a, b) => a - b),
    [16, 32, 40],
  );
});
