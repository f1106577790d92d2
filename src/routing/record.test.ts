import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DownMark } from './backend.ts';
import { buildFrontend } from './record.ts';

const noMarks = new Map<string, DownMark>();
const mark = (untilMs: number, sinceMs = 0): DownMark => ({ untilMs, sinceMs, reason: 'x', instance: 'i' });
const record = (...frontend: unknown[]) => ({ frontend, down: noMarks });
const urls = (frontend: ReturnType<typeof buildFrontend>) => frontend.backends.map((backend) => backend.url);

test('a record has an identifier, and backends in order', () => {
  const frontend = buildFrontend('a.com', record('my app', 'http://1:1', 'http://2:2#weight=3'));
  assert.equal(frontend.id, 'my app');
  assert.deepEqual(urls(frontend), ['http://1:1', 'http://2:2']);
  assert.deepEqual(
    frontend.backends.map(({ index, weight }) => [index, weight]),
    [
      [0, 1],
      [1, 3],
    ],
  );
  assert.equal(frontend.weighted, true);
  assert.deepEqual(frontend.problems, []);
});

test('bad parts are skipped and named with their position; the others serve', () => {
  const frontend = buildFrontend(
    'a.com',
    record('id', 'htp//x', 7, 'http://ok:1', null, { __proto__: 1 }, 'http://b/p'),
  );
  assert.deepEqual(urls(frontend), ['http://ok:1', 'http://b/p']);
  assert.equal(frontend.backends[0]?.index, 2);
  assert.deepEqual(
    frontend.problems.map(({ message }) => /^backend \d+/.exec(message)?.[0]),
    ['backend 0', 'backend 1', 'backend 3', 'backend 4', 'backend 5'],
  );
});

test('a record without usable backends gives a frontend without backends', () => {
  assert.deepEqual(buildFrontend('a.com', record('id')).backends, []);
  assert.deepEqual(buildFrontend('a.com', record('id', 'nope')).backends, []);
  const unreadable = buildFrontend('a.com', { ...record(null), problem: 'not JSON' });
  assert.deepEqual([unreadable.id, unreadable.problems], ['a.com', [{ message: 'not JSON' }]]);
});

test('a repeated URL has the sum of its weights and its first index', () => {
  const frontend = buildFrontend(
    'a.com',
    record('id', 'http://1:1', 'http://2:2', 'http://1:1', 'http://1:1#weight=5'),
  );
  assert.deepEqual(
    frontend.backends.map(({ url, index, weight }) => [url, index, weight]),
    [
      ['http://1:1', 0, 7],
      ['http://2:2', 1, 1],
    ],
  );
});

test('an edited record keeps the retry budget, and the remaining backends with load and marks', () => {
  const down = new Map([['http://2:2', mark(100)]]);
  const before = buildFrontend('a.com', { frontend: ['id', 'http://1:1', 'http://2:2'], down });
  const [first, second] = before.backends;
  if (first) first.inFlight = 3;
  const after = buildFrontend(
    'a.com',
    { frontend: ['id', 'http://3:3', 'http://2:2#weight=2', 'http://1:1'], down },
    before,
  );
  assert.equal(after.backends[1], second);
  assert.equal(after.backends[2], first);
  assert.equal(first?.inFlight, 3);
  assert.equal(second?.isDown(50), true);
  assert.deepEqual([second?.index, second?.weight, first?.index], [1, 2, 2]);
  assert.equal(after.retryBudget, before.retryBudget);
});

test('a backend that drains gets no requests, and keeps its object while it drains and after', () => {
  const before = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1'));
  const [first] = before.backends;
  const drains = buildFrontend('a.com', record('id', 'http://a:1#weight=3&drain=5000', 'http://b:1'), before);
  assert.deepEqual(urls(drains), ['http://b:1']);
  assert.equal(drains.weighted, false);
  assert.equal(drains.draining[0], first);
  assert.equal(first?.drainUntilMs, 5000);
  const after = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1'), drains);
  assert.equal(after.backends[0], first);
  assert.deepEqual(after.draining, []);
  assert.equal(first?.drainUntilMs, null);
  const odd = buildFrontend('a.com', record('id', 'http://a:1#drain=soon'));
  assert.deepEqual(urls(odd), ['http://a:1']);
  assert.match(odd.problems[0]?.message ?? '', /is not a time in epoch ms; the backend does not drain/);
});

test('a backend becomes a backup, and an ordinary one again, with the same object', () => {
  const before = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1'));
  assert.deepEqual([before.weighted, before.hasBackups], [false, false]);
  const changed = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1#backup'), before);
  assert.equal(changed.backends[1], before.backends[1]);
  assert.deepEqual([changed.weighted, changed.hasBackups, changed.backends[1]?.isBackup], [true, true, true]);
  const after = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1'), changed);
  assert.deepEqual([after.weighted, after.hasBackups, after.backends[1]?.isBackup], [false, false, false]);
  const odd = buildFrontend('a.com', record('id', 'http://a:1#backup=x', 'http://b:1'));
  assert.equal(odd.hasBackups, false);
  assert.match(odd.problems[0]?.message ?? '', /^backend 0 .*"#backup=x" is not #backup; the backend is none$/);
});

test('a mark of this worker that was set after the read began is kept', () => {
  const before = buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'));
  const backend = before.backends[0];
  assert.ok(backend);
  backend.down = mark(100);
  backend.markSharedAt = Number.POSITIVE_INFINITY;
  buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'), before, 7);
  assert.equal(backend.isDown(50), true, 'not acknowledged yet');
  backend.markSharedAt = 8;
  buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'), before, 7);
  assert.equal(backend.isDown(50), true, 'acknowledged after the reading began');
});

test('a mark that the store had and has lost again is removed', () => {
  const before = buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'));
  const backend = before.backends[0];
  assert.ok(backend);
  backend.down = mark(100);
  backend.markSharedAt = 6;
  buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'), before, 7);
  assert.equal(backend.down, null);
});

test('while a local mark is not in the store, the one of the two that expires later applies', () => {
  const before = buildFrontend('a.com', record('id', 'http://1:1', 'http://2:2'));
  const backend = before.backends[0];
  assert.ok(backend);
  backend.down = mark(100);
  backend.markSharedAt = Number.POSITIVE_INFINITY;
  const stored = (untilMs: number) => ({
    frontend: ['id', 'http://1:1', 'http://2:2'],
    down: new Map([['http://1:1', mark(untilMs)]]),
  });
  buildFrontend('a.com', stored(90), before, 7);
  assert.equal(backend.down?.untilMs, 100);
  buildFrontend('a.com', stored(110), before, 7);
  assert.equal(backend.down?.untilMs, 110);
});

test('problems and backends of a record are limited', () => {
  const frontend = buildFrontend('a.com', record('id', ...Array.from({ length: 20_000 }, (_, i) => i)));
  assert.ok(frontend.problems.length <= 22);
  assert.match(frontend.problems.at(-1)?.message ?? '', /more problems/);
  const many = Array.from({ length: 20_000 }, (_, i) => `http://h${i}:1`);
  assert.equal(buildFrontend('a.com', record('id', ...many)).backends.length, 10_000);
});

test('no record makes it throw, and every backend is one of the record', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.anything(), fc.constantFrom('http://a:1', 'http://b:2#weight=4'))), (frontend) => {
      const built = buildFrontend('a.com', { frontend, down: noMarks });
      assert.equal(new Set(urls(built)).size, built.backends.length);
      for (const backend of built.backends) assert.equal(typeof frontend[backend.index + 1], 'string');
    }),
  );
});

test('canaries are backends of their own group, and share the first percentage', () => {
  const frontend = buildFrontend(
    'a.com',
    record(
      'id',
      'http://a:1',
      'http://b:1#canary=x',
      'http://c:1#canary=9&drain=5',
      'http://d:1#canary=5&weight=2',
      'http://e:1#canary=7',
    ),
  );
  assert.deepEqual(urls(frontend), ['http://a:1', 'http://b:1']);
  const { canary, draining, problems } = frontend;
  assert.deepEqual([canary?.share, canary?.weighted, canary?.pattern], [5, true, 'a.com']);
  assert.deepEqual(
    canary?.backends.map(({ index, url, weight }) => [index, url, weight]),
    [
      [3, 'http://d:1', 2],
      [4, 'http://e:1', 1],
    ],
  );
  assert.deepEqual([frontend.weighted, draining.length], [false, 1]);
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      'backend 1 "http://b:1#canary=x": "#canary=x" is not #canary=0.1 to #canary=99.9; the backend is no canary',
      'backend 4 "http://e:1": #canary=7 has no effect; #canary=5 of backend 3 holds for all canaries',
    ],
  );
});

test('a record that has only canaries serves all clients by them, and says so', () => {
  const frontend = buildFrontend('a.com', record('id', 'http://a:1#canary=5', 'http://b:1#drain=5'));
  assert.deepEqual([urls(frontend), frontend.canary], [['http://a:1'], null]);
  assert.match(frontend.problems[0]?.message ?? '', /^every backend has #canary; they serve all clients/);
});

test('a canary keeps its object as its share changes, as it is promoted, and as it drains', () => {
  const before = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1#canary=5'));
  const canary = before.canary?.backends[0];
  const state = { ring: null, earned: null, byCookie: null };
  assert.ok(before.canary && canary);
  before.canary.balancing = state;
  const grown = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1#canary=20'), before);
  assert.equal(grown.canary?.backends[0], canary);
  assert.equal(grown.canary.balancing, state);
  const promoted = buildFrontend('a.com', record('id', 'http://b:1', 'http://a:1#drain=5'), grown);
  assert.equal(promoted.backends[0], canary);
  assert.equal(promoted.canary, null);
  const ended = buildFrontend('a.com', record('id', 'http://a:1', 'http://b:1#drain=5'), grown);
  assert.equal(ended.draining[0], canary);
});

test('marks of canaries come from the store', () => {
  const down = new Map([['http://b:1', mark(100)]]);
  const frontend = buildFrontend('a.com', { frontend: ['id', 'http://a:1', 'http://b:1#canary=5'], down });
  assert.deepEqual(frontend.canary?.backends[0]?.down, mark(100));
});
