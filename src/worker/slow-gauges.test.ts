import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlowGauges } from './slow-gauges.ts';

test('scrapes measure at most every five seconds, each time the delay since the previous measurement', () => {
  let nowMs = 1000;
  let looks = 0;
  const delay = {
    max: 2e9,
    reset: () => {
      delay.max = 0;
    },
  };
  const gauges = new SlowGauges({ monotonicMs: () => nowMs, epochMs: () => 0 }, () => ++looks, delay);
  gauges.refresh();
  assert.deepEqual([gauges.unverified, gauges.longestDelaySeconds], [1, 2]);
  delay.max = 1e9;
  nowMs += 4999;
  gauges.refresh();
  assert.deepEqual([gauges.unverified, gauges.longestDelaySeconds], [1, 2]);
  nowMs += 1;
  gauges.refresh();
  assert.deepEqual([gauges.unverified, gauges.longestDelaySeconds], [2, 1]);
});
