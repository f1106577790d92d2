import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slotOf } from './cluster-slots.ts';

test('the slot of a key is that of Redis', () => {
  // As CLUSTER KEYSLOT replies.
  for (const [key, slot] of [
    ['', 0],
    ['123456789', 12_739],
    ['foo', 12_182],
    ['hipache:revision', 2311],
    ['frontend:ä.example', 15_377],
    ['{user1000}.following', 3443],
    ['foo{}{bar}', 8363],
    ['foo{{bar}}zap', 4015],
    ['foo{bar}{zap}', 5061],
    ['foo{bar', 15_278],
  ] as const) {
    assert.equal(slotOf(key), slot, key);
  }
});
