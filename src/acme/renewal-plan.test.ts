import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { askAgainAfterMs, renewalTime } from './renewal-plan.ts';

const day = 24 * 3600_000;

describe('the time of a renewal', () => {
  const validity = { notBeforeMs: 0, notAfterMs: 90 * day };

  test('is at two thirds of the life, spread over some days', () => {
    assert.equal(renewalTime(validity, null, 0), Math.round(90 * day * (2 / 3 - 0.05)));
    assert.ok(renewalTime(validity, null, 0.999) <= 60 * day);
    assert.ok(renewalTime(validity, null, 0.999) > 59.9 * day);
  });

  test('is within the window of the authority, also if that has passed', () => {
    const info = { startMs: 70 * day, endMs: 72 * day, explanationUrl: null };
    assert.equal(renewalTime(validity, info, 0), 70 * day);
    assert.equal(renewalTime(validity, info, 0.5), 71 * day);
    const past = { startMs: -3 * day, endMs: -2 * day, explanationUrl: null };
    assert.equal(renewalTime(validity, past, 0.5), -2.5 * day);
  });

  test('is not in the last tenth of the life, whatever the authority says', () => {
    const late = { startMs: 89 * day, endMs: 400 * day, explanationUrl: null };
    assert.equal(renewalTime(validity, late, 0.9), 81 * day);
  });

  test('precedes the end, for any certificate and any window', () => {
    const time = fc.integer({ min: 0, max: 1e13 });
    fc.assert(
      fc.property(time, time, time, time, fc.nat(999), (begin, life, start, window, random) => {
        const any = { notBeforeMs: begin, notAfterMs: begin + life };
        const info = { startMs: start, endMs: start + window, explanationUrl: null };
        assert.ok(renewalTime(any, info, random / 1000) <= any.notAfterMs);
        assert.ok(renewalTime(any, null, random / 1000) <= any.notAfterMs);
      }),
    );
  });
});

test('an authority is asked about a renewal once a minute at most, and once a day at least', () => {
  const hour = 3600_000;
  assert.deepEqual([null, 0, 2 * hour, 30 * day].map(askAgainAfterMs), [6 * hour, 60_000, 2 * hour, day]);
});
