import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from './backend.ts';
import { isMarkingStatus, mayMarkDown } from './health.ts';
import { buildFrontend } from './record.ts';

const frontendOf = (...urls: string[]) => buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() });
const down = { untilMs: 100, sinceMs: 0, reason: 'x', instance: 'i' };

test('the only backend of a frontend is never marked, however often it is listed', () => {
  for (const frontend of [frontendOf('http://1:1'), frontendOf('http://1:1', 'http://1:1')]) {
    assert.equal(mayMarkDown(frontend, frontend.backends[0] as Backend, 0), false);
  }
});

test('the last backend alive is not marked until the mark of another one expires', () => {
  const frontend = frontendOf('http://1:1', 'http://2:1');
  const [first, second] = frontend.backends as [Backend, Backend];
  assert.equal(mayMarkDown(frontend, first, 0), true);
  first.down = down;
  assert.equal(mayMarkDown(frontend, second, 50), false);
  assert.equal(mayMarkDown(frontend, second, 100), true);
});

test('the same statuses mark as in Hipache 0.4', () => {
  for (const status of [200, 301, 404, 429, 499, 600]) assert.equal(isMarkingStatus(status, false, true), false);
  for (const status of [501, 502, 503, 504, 599]) assert.equal(isMarkingStatus(status, false, false), true);
  assert.equal(isMarkingStatus(500, false, true), true);
  assert.equal(isMarkingStatus(500, false, false), false);
  assert.equal(isMarkingStatus(503, true, true), false);
  assert.equal(isMarkingStatus(502, true, true), true);
});
