import assert from 'node:assert/strict';
import { test } from 'node:test';
import { residentBytes } from './resident-memory.ts';

test('the resident memory is the one that Node reports', () => {
  const held = Buffer.alloc(64 * 1024 * 1024, 1);
  const [ours, reported] = [residentBytes(), process.memoryUsage.rss()];
  assert.ok(Math.abs(ours - reported) < 8 * 1024 * 1024, `${ours} and ${reported}`);
  assert.equal(held.length, 64 * 1024 * 1024);
});
