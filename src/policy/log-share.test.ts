import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logShare } from './log-share.ts';

test('a share is a word or a number from 0 to 1', () => {
  for (const [text, share] of [
    ...([
      ['on', 1],
      ['off', -1],
      ['0', 0],
      ['1', 1],
      ['0.5', 0.5],
      ['.25', 0.25],
      ['1.0', 1],
      ['0.000001', 0.000001],
    ] as const),
  ]) {
    assert.equal(logShare.parse(text, []), share, text);
  }
  for (const text of ['', '1.1', '2', '-1', '50%', '1e-3', '.', '0.', 'yes']) {
    assert.equal(logShare.parse(text, []), undefined, text);
  }
});
