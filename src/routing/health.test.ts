import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from './backend.ts';
import { type MarkingRule, markingOfStatus, mayMarkDown } from './health.ts';
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

test('all that are no backups may be marked while a backup is alive, and the last one of all is never', () => {
  const frontend = frontendOf('http://1:1', 'http://2:1', 'http://3:1#backup');
  const [first, second, backup] = frontend.backends as [Backend, Backend, Backend];
  for (const each of [first, second]) {
    assert.equal(mayMarkDown(frontend, each, 0), true);
    each.down = down;
  }
  assert.equal(mayMarkDown(frontend, backup, 0), false);
  first.down = null;
  assert.equal(mayMarkDown(frontend, backup, 0), true);
  backup.down = down;
  assert.equal(mayMarkDown(frontend, first, 0), false);
});

test('a canary may always be marked, and keeps no other backend from being the last one', () => {
  const frontend = frontendOf('http://1:1', 'http://2:1#canary=5');
  const [only] = frontend.backends as [Backend];
  const canary = frontend.canary?.backends[0] as Backend;
  assert.equal(mayMarkDown(frontend, only, 0), false);
  assert.equal(mayMarkDown(frontend, canary, 0), true);
  only.down = down;
  assert.equal(mayMarkDown(frontend, canary, 0), true);
});

const rule: MarkingRule = { byFirst: false, on500: true, failuresMin: 5, share: 0.5 };

test('only the statuses of a failing backend count, and statuses that a client can provoke never do', () => {
  for (const status of [501, 505, 507, 511, 599, 600]) {
    for (const byFirst of [false, true]) {
      assert.equal(markingOfStatus(status, false, { ...rule, byFirst }), 'never', String(status));
    }
  }
  for (const status of [502, 503, 504]) {
    assert.equal(markingOfStatus(status, false, rule), 'by share');
    assert.equal(markingOfStatus(status, false, { ...rule, byFirst: true }), 'at once');
  }
  assert.equal(markingOfStatus(503, true, { ...rule, byFirst: true }), 'never');
  assert.equal(markingOfStatus(502, true, rule), 'by share');
});

test('a 500 counts unless that is switched off, and never marks at once', () => {
  assert.equal(markingOfStatus(500, false, { ...rule, byFirst: true }), 'by share');
  assert.equal(markingOfStatus(500, false, { ...rule, on500: false }), 'never');
});
