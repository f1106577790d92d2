import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { DownMark } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { ChangeListener, StoredHost } from './contract.ts';
import { RouteCache } from './route-cache.ts';
import type { RouteCacheOptions } from './route-cache-options.ts';

interface Read {
  readonly patterns: readonly string[];
  /** Takes the answer that the store has now, and delivers it. */
  answer(): void;
  /** Takes the answer that the store has now; what is returned delivers it. */
  take(): () => void;
  fail(error: Error): void;
}

/** A store whose every answer comes when the test says so. */
class FakeStore {
  readonly records = new Map<string, readonly unknown[]>();
  readonly down = new Map<string, Map<string, DownMark>>();
  readonly reads: Read[] = [];
  readonly marks: { pattern: string; url: string; mark: DownMark; done: () => void; fail: (error: Error) => void }[] =
    [];
  listener: ChangeListener | null = null;
  /** Answers by itself, in the same turn. */
  prompt = false;

  read(patterns: readonly string[]): Promise<readonly (StoredHost | null)[]> {
    if (this.prompt) return Promise.resolve(this.#snapshot(patterns));
    const { promise, resolve, reject } = Promise.withResolvers<readonly (StoredHost | null)[]>();
    const done = () => void this.reads.splice(this.reads.indexOf(read), 1);
    const take = () => {
      const snapshot = this.#snapshot(patterns);
      return () => {
        done();
        resolve(snapshot);
      };
    };
    const read: Read = {
      patterns,
      take,
      answer: () => take()(),
      fail: (error) => {
        done();
        reject(error);
      },
    };
    this.reads.push(read);
    return promise;
  }

  async watch(listener: ChangeListener): Promise<void> {
    this.listener = listener;
  }

  mark(pattern: string, url: string, mark: DownMark): Promise<void> {
    return new Promise((resolve, reject) => {
      this.marks.push({ pattern, url, mark, done: resolve, fail: reject });
    });
  }

  async close(): Promise<void> {}

  /** Changes a record and tells of it at once. */
  change(pattern: string, record: readonly unknown[] | null): void {
    if (record === null) this.records.delete(pattern);
    else this.records.set(pattern, record);
    this.listener?.changed([pattern]);
  }

  #snapshot(patterns: readonly string[]): (StoredHost | null)[] {
    return patterns.map((pattern) => {
      const frontend = this.records.get(pattern);
      return frontend === undefined ? null : { frontend, down: new Map(this.down.get(pattern)) };
    });
  }
}

/** Time that the test moves. */
class FakeTime {
  nowMs = 1_000_000;
  readonly #timers = new Set<{ atMs: number; action: () => void }>();

  readonly clock = { epochMs: () => this.nowMs, monotonicMs: () => this.nowMs };

  readonly setTimer = (delayMs: number, action: () => void) => {
    const timer = { atMs: this.nowMs + delayMs, action };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  get pending(): number {
    return this.#timers.size;
  }

  async pass(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      await turn();
      const next = [...this.#timers].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.delete(next);
      this.nowMs = next.atMs;
      next.action();
    }
    this.nowMs = endMs;
  }
}

async function setUp(options: Partial<RouteCacheOptions> = {}) {
  const store = new FakeStore();
  const time = new FakeTime();
  const cache = new RouteCache({ store, instance: 'test', clock: time.clock, setTimer: time.setTimer, ...options });
  await cache.start();
  return { store, time, cache };
}

/** Has `host` loaded and in memory. */
async function warm(store: FakeStore, cache: RouteCache, host: string): Promise<Frontend | null> {
  store.prompt = true;
  const frontend = await cache.load(host);
  store.prompt = false;
  return frontend;
}

const idOf = (frontend: Frontend | null | undefined) => (frontend ? frontend.id : frontend);

test('a host is asked for once, all its patterns in one reading, and answered from memory afterwards', async () => {
  const { store, cache } = await setUp();
  store.records.set('*.b.com', ['wild', 'http://1:1']);
  assert.equal(cache.cached('a.b.com'), undefined);
  const loads = [cache.load('a.b.com'), cache.load('a.b.com')];
  await turn();
  assert.deepEqual(
    store.reads.map((read) => read.patterns),
    [['a.b.com', '*.b.com', '*.com', '*']],
  );
  store.reads[0]?.answer();
  const [first, second] = await Promise.all(loads);
  assert.equal(first?.id, 'wild');
  assert.equal(first, second);
  assert.equal(cache.cached('a.b.com'), first);
  assert.equal(cache.cached('x.b.com'), undefined);
  const other = cache.load('x.b.com');
  await turn();
  assert.deepEqual(store.reads[0]?.patterns, ['x.b.com'], 'its wildcard is known');
  store.reads[0]?.answer();
  assert.equal(await other, first);
  assert.equal(cache.counters.misses, 3);
});

test('the most specific list that is not empty wins', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.b.com', []);
  store.records.set('*.b.com', []);
  store.records.set('*.com', ['com']);
  store.records.set('*', ['all']);
  assert.equal(idOf(await warm(store, cache, 'a.b.com')), 'com');
  assert.equal(idOf(cache.cached('a.b.com')), 'com');
  assert.equal(idOf(await warm(store, cache, 'a.b.org')), 'all');
  assert.equal(idOf(await warm(store, cache, '[::1]')), 'all');
});

test('absence is remembered, until the pattern gets a record', async () => {
  const { store, cache } = await setUp();
  assert.equal(await warm(store, cache, 'a.com'), null);
  assert.equal(cache.cached('a.com'), null);
  assert.equal(cache.absences, 3);
  store.change('*.com', ['new']);
  assert.equal(cache.cached('a.com'), null, 'used lately: the old answer serves for the moment of the reading');
  await turn();
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('an absence that nobody uses is forgotten when its pattern changes', async () => {
  const { store, cache } = await setUp();
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  await turn();
  assert.equal(store.reads.length, 0);
  assert.equal(cache.cached('a.com'), undefined);
});

test('a flood of names without a record evicts no frontend and stays bounded', async () => {
  const { store, cache } = await setUp({ limits: { absencesMax: 100, entriesMax: 10 } });
  store.records.set('hot.com', ['hot']);
  await warm(store, cache, 'hot.com');
  store.prompt = true;
  for (let i = 0; i < 2000; i++) assert.equal(await cache.load(`random-${i}.com`), null);
  assert.equal(cache.absences, 100);
  assert.equal(idOf(cache.cached('hot.com')), 'hot');
});

test('a change while the reading is under way wins over what it brings', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.change('a.com', ['new']);
  deliver?.();
  assert.equal(idOf(await load), 'old', 'used once');
  assert.equal(cache.cached('a.com'), undefined, 'and not kept');
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'new');
});

test('who asks after the change does not get what was read before it', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const early = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.change('a.com', ['new']);
  const late = cache.load('a.com');
  deliver?.();
  assert.equal(idOf(await early), 'old');
  await turn();
  store.reads[0]?.answer();
  assert.equal(idOf(await late), 'new');
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a known host that changes is read again at once, and served meanwhile', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old', 'http://1:1']);
  const before = await warm(store, cache, 'a.com');
  store.change('a.com', ['new', 'http://1:1']);
  await turn();
  assert.equal(cache.cached('a.com'), before);
  store.reads[0]?.answer();
  await turn();
  const after = cache.cached('a.com');
  assert.equal(idOf(after), 'new');
  assert.equal(after?.backends[0], before?.backends[0], 'the backend stays the same object');
});

test('a removed host falls back to its wildcard', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  store.records.set('*', ['all']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.change('a.com', null);
  await turn();
  assert.equal(idOf(await cache.load('a.com')), 'all');
});

test('changes of hosts that are not cached cost no reading', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 1000; i++) store.change(`other-${i}.com`, ['x']);
  await turn();
  assert.deepEqual([store.reads.length, cache.counters.refreshes, cache.entries], [0, 0, 0]);
});

test('however often a host changes, one reading is under way and one waits', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['0']);
  await warm(store, cache, 'a.com');
  for (let i = 1; i <= 100; i++) {
    store.change('a.com', [String(i)]);
    await turn();
    assert.equal(store.reads.length, 1);
  }
  store.reads[0]?.take()();
  await turn();
  assert.equal(store.reads.length, 1, 'the one that waited');
  store.reads[0]?.answer();
  await turn();
  assert.equal(store.reads.length, 0);
  assert.equal(idOf(cache.cached('a.com')), '100');
});

test('a host that changes without a pause still gets its newer records', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['0']);
  await warm(store, cache, 'a.com');
  for (let i = 1; i <= 10; i++) {
    store.change('a.com', [String(i)]);
    await turn();
    const deliver = store.reads[0]?.take();
    store.listener?.changed(['a.com']);
    deliver?.();
    await turn();
    assert.equal(idOf(cache.cached('a.com')), String(i));
  }
});

test('many changes are read together', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 100; i++) store.records.set(`h${i}.com`, ['x']);
  for (let i = 0; i < 100; i++) await warm(store, cache, `h${i}.com`);
  store.listener?.changed(Array.from({ length: 100 }, (_, i) => `h${i}.com`));
  await turn();
  assert.deepEqual(
    store.reads.map((read) => read.patterns.length),
    [100],
  );
});

test('while the store is lost everything known is served, without reading', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  await warm(store, cache, 'b.com');
  store.listener?.lost(new Error('gone'));
  assert.equal(idOf(cache.cached('a.com')), 'x');
  assert.equal(cache.cached('b.com'), null);
  assert.equal(cache.countUnverified(), cache.entries);
  await turn();
  assert.equal(store.reads.length, 0);
});

test('after the store is back, an entry is verified before its next use', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  assert.equal(cache.cached('a.com'), undefined);
  const load = cache.load('a.com');
  await turn();
  assert.deepEqual(store.reads[0]?.patterns, ['a.com']);
  store.reads[0]?.answer();
  assert.equal(idOf(await load), 'new');
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('verifying holds up a request only for a moment, and the next one not at all', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.listener?.restored();
  store.records.set('a.com', ['new']);
  const load = cache.load('a.com');
  await time.pass(99);
  await time.pass(1);
  assert.equal(idOf(await load), 'old');
  assert.equal(idOf(cache.cached('a.com')), 'old');
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('verifying through several patterns holds up a request no longer than through one', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  store.records.set('*.com', ['wild']);
  await warm(store, cache, 'a.com');
  await warm(store, cache, 'b.com');
  store.listener?.lost(new Error('gone'));
  store.records.delete('a.com');
  store.listener?.restored();
  const load = cache.load('a.com');
  await time.pass(90);
  store.reads[0]?.answer();
  await time.pass(10);
  assert.equal(idOf(await load), 'wild');
  assert.equal(idOf(cache.cached('a.com')), 'wild');
});

test('an entry that is gone after the store was lost gives way to its wildcard', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['exact']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('gone'));
  store.records.delete('a.com');
  store.records.set('*', ['all']);
  store.listener?.restored();
  store.prompt = true;
  assert.equal(idOf(await cache.load('a.com')), 'all');
});

test('a reading that was under way when the store was lost does not count as verified', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  await turn();
  const deliver = store.reads[0]?.take();
  store.listener?.lost(new Error('gone'));
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  deliver?.();
  assert.equal(idOf(await load), 'old');
  assert.equal(cache.cached('a.com'), undefined);
});

test('what was read while the store was lost is verified once it is back', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  store.listener?.lost(new Error('gone'));
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'old');
  assert.equal(idOf(cache.cached('a.com')), 'old');
  store.records.set('a.com', ['new']);
  store.listener?.restored();
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(idOf(await warm(store, cache, 'a.com')), 'new');
});

test('an unknown host rejects where the store fails, known ones are served', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  const load = cache.load('b.com');
  await turn();
  store.reads[0]?.fail(new Error('disk on fire'));
  await assert.rejects(load, { code: 'STORE_UNAVAILABLE', source: 'store', message: /disk on fire/ });
  assert.equal(idOf(cache.cached('a.com')), 'x');
});

test('a wildcard never stands in for a host that could not be read', async () => {
  const { store, cache } = await setUp();
  store.records.set('*', ['all']);
  await warm(store, cache, 'a.com');
  const load = cache.load('b.com');
  await turn();
  store.reads[0]?.fail(new Error('disk on fire'));
  await assert.rejects(load, { code: 'STORE_UNAVAILABLE' });
});

test('a store that does not answer is waited for only so long, and its late answer is not used', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  const load = cache.load('a.com');
  const rejection = assert.rejects(load, { code: 'STORE_UNAVAILABLE', message: /5000 ms/ });
  await time.pass(5000);
  await rejection;
  const late = store.reads[0];
  const again = cache.load('a.com');
  await turn();
  assert.equal(store.reads.length, 2);
  store.records.set('a.com', ['new']);
  store.reads[1]?.answer();
  assert.equal(idOf(await again), 'new');
  store.records.set('a.com', ['older']);
  late?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a refresh that fails is tried again with growing waits, and the old record serves meanwhile', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    await turn();
    store.reads[0]?.fail(new Error('busy'));
    await turn();
    assert.equal(idOf(cache.cached('a.com')), 'old');
    const sinceMs = time.nowMs;
    while (store.reads.length === 0) await time.pass(50);
    waits.push(time.nowMs - sinceMs);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600]);
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('what failed is tried again at once when the store is back', async () => {
  const { store, cache } = await setUp();
  store.records.set('a.com', ['old']);
  await warm(store, cache, 'a.com');
  store.change('a.com', ['new']);
  await turn();
  store.reads[0]?.fail(new Error('gone'));
  await turn();
  store.listener?.lost(new Error('gone'));
  store.listener?.restored();
  await turn();
  store.reads[0]?.answer();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'new');
});

test('a damaged place in the store harms only what lies in it', async () => {
  const { store, cache } = await setUp();
  const { HipacheError } = await import('../base/errors.ts');
  store.records.set('good.com', ['good']);
  const bad = assert.rejects(cache.load('bad.com'), { code: 'STORE_DAMAGED' });
  const good = cache.load('good.com');
  for (let i = 0; i < 50 && (await Promise.race([good, turn(null)])) === null; i++) {
    for (const read of [...store.reads]) {
      if (read.patterns.includes('bad.com')) read.fail(new HipacheError('STORE_DAMAGED', 'page 7'));
      else read.answer();
    }
  }
  assert.equal(idOf(await good), 'good');
  await bad;
});

test('a store that cannot be watched yet is asked again', async () => {
  const time = new FakeTime();
  const store = new FakeStore();
  let attempts = 0;
  const cache = new RouteCache({
    instance: 'test',
    clock: time.clock,
    setTimer: time.setTimer,
    store: {
      read: (patterns) => store.read(patterns),
      close: () => store.close(),
      watch: async () => {
        if (++attempts < 4) throw new Error('not yet');
      },
    },
  });
  await cache.start();
  assert.equal(cache.connected, false);
  await time.pass(10_000);
  assert.deepEqual([attempts, cache.connected], [4, true]);
});

test('a mark holds at once, is shared, and is not undone by a reading that was under way', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  store.change('a.com', ['y', 'http://1:1', 'http://2:1']);
  await turn();
  const deliver = store.reads[0]?.take();
  cache.markDown(frontend, backend, 'BACKEND_CONNECT_REFUSED', 30_000);
  assert.equal(backend.isDown(time.nowMs), true);
  deliver?.();
  await turn();
  assert.equal(idOf(cache.cached('a.com')), 'y');
  assert.equal(cache.cached('a.com')?.backends[0]?.isDown(time.nowMs + 29_999), true);
  const shared = store.marks[0];
  assert.deepEqual(shared && { ...shared.mark, pattern: shared.pattern, url: shared.url }, {
    pattern: 'a.com',
    url: 'http://1:1',
    untilMs: time.nowMs + 30_000,
    sinceMs: time.nowMs,
    reason: 'BACKEND_CONNECT_REFUSED',
    instance: 'test',
  });
});

test("once shared, a mark goes when the store's does", async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  cache.markDown(frontend, backend, 'x', 30_000);
  store.marks[0]?.done();
  await turn();
  store.prompt = true;
  store.listener?.changed(['a.com']);
  await turn();
  assert.equal(backend.isDown(time.nowMs), false);
});

test('a mark that the store refuses holds in this worker until it ends', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  const backend = frontend?.backends[0];
  assert.ok(frontend && backend);
  cache.markDown(frontend, backend, 'x', 30_000);
  store.marks[0]?.fail(new Error('read-only'));
  await turn();
  assert.equal(cache.counters.markErrors, 1);
  store.prompt = true;
  store.listener?.changed(['a.com']);
  await turn();
  assert.equal(backend.isDown(time.nowMs), true);
  assert.equal(backend.isDown(time.nowMs + 30_000), false);
});

test('failing together, requests mark once; the last backend is never marked', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const frontend = await warm(store, cache, 'a.com');
  assert.ok(frontend);
  for (let i = 0; i < 10; i++) for (const backend of frontend.backends) cache.markDown(frontend, backend, 'x', 1000);
  assert.equal(store.marks.length, 1);
  assert.deepEqual(
    frontend.backends.map((backend) => backend.isDown(time.nowMs)),
    [true, false],
  );
});

test('a mark set on an old frontend counts for the record of now', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x', 'http://1:1', 'http://2:1']);
  const old = await warm(store, cache, 'a.com');
  const [first, second] = old?.backends ?? [];
  assert.ok(old && first && second);
  store.prompt = true;
  store.change('a.com', ['x', 'http://2:1']);
  await turn();
  cache.markDown(old, second, 'x', 1000);
  cache.markDown(old, first, 'x', 1000);
  assert.deepEqual([first.isDown(time.nowMs), second.isDown(time.nowMs), store.marks.length], [false, false, 0]);
});

test('marks that wait are bounded', async () => {
  const { store, cache } = await setUp();
  for (let i = 0; i < 1100; i++) {
    store.records.set(`h${i}.com`, ['x', 'http://1:1', 'http://2:1']);
    const frontend = await warm(store, cache, `h${i}.com`);
    const backend = frontend?.backends[0];
    if (frontend && backend) cache.markDown(frontend, backend, 'x', 1000);
  }
  assert.equal(store.marks.length, 8);
  assert.equal(cache.marksDropped, 1100 - 1000 - 8);
});

test('problems of a record are reported once', async () => {
  const problems: string[] = [];
  const { store, cache } = await setUp({
    onProblem: (pattern, { message }) => problems.push(`${pattern}: ${message}`),
  });
  store.records.set('a.com', ['x', 'nonsense', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.listener?.changed(['a.com']);
  await turn();
  store.change('a.com', ['x', 'http://1:1', 'other nonsense']);
  await turn();
  assert.equal(problems.length, 2);
});

test('no timer is left once nothing is under way', async () => {
  const { store, time, cache } = await setUp();
  store.records.set('a.com', ['x']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.listener?.changed(['a.com']);
  await turn();
  assert.equal(time.pending, 0);
  cache.close();
});

const names = ['a.x.com', 'b.x.com', 'x.com', '*.x.com', '*.com', '*'];
const hosts = ['a.x.com', 'b.x.com', 'x.com', 'c.x.com'];
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('change' as const), at: fc.nat(5), to: fc.nat(3), tell: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('load' as const), at: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'deliver' as const, 'fail' as const), at: fc.nat(9) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('tell' as const, 'turn' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'pass' as const), at: fc.nat(400) }) },
);

test('whatever the order of changes, tellings, answers and failures, memory ends up as the store', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), fc.boolean(), async (steps, small) => {
      const { store, time, cache } = await setUp(small ? { limits: { entriesMax: 2, absencesMax: 2 } } : {});
      /** Tellings on their way, in order, each of a change that has been made. */
      const tellings: string[] = [];
      /** Answers that the store has made, which travel at their own speed. */
      const travelling: (() => void)[] = [];
      const taken = new Set<Read>();
      let version = 0;
      let lost = false;
      for (const { do: action, at, ...rest } of steps) {
        if (action === 'change') {
          const pattern = names[at % names.length] as string;
          const { to, tell } = rest as { to: number; tell: boolean };
          if (to === 0) store.records.delete(pattern);
          else store.records.set(pattern, to === 1 ? [] : [`${pattern} ${++version}`, 'http://1:1', 'http://2:1']);
          tellings.push(pattern);
          if (tell && !lost) store.listener?.changed(tellings.splice(0));
        } else if (action === 'load') {
          cache.load(hosts[at % hosts.length] as string).catch(() => {});
        } else if (action === 'take' || action === 'fail') {
          const open = store.reads.filter((read) => !taken.has(read));
          const read = open[at % Math.max(1, open.length)];
          if (read !== undefined && action === 'take') {
            taken.add(read);
            travelling.push(read.take());
          } else {
            read?.fail(new Error('fails'));
          }
        } else if (action === 'deliver') {
          travelling.splice(at % Math.max(1, travelling.length), 1)[0]?.();
        } else if (action === 'tell') {
          const told = tellings.shift();
          if (told !== undefined) store.listener?.changed([told]);
        } else if (action === 'lose') {
          // Everything on its way is lost with the connection, and what changes until it is back is not told.
          if (lost) store.listener?.restored();
          else store.listener?.lost(new Error('lost'));
          lost = !lost;
        } else if (action === 'pass') {
          await time.pass(at);
        }
        if (lost) tellings.length = 0;
        await turn();
      }
      if (lost) store.listener?.restored();
      // Quiet: everything arrives, the store answers again.
      while (travelling.length > 0) travelling.pop()?.();
      store.listener?.changed(tellings.splice(0));
      store.prompt = true;
      while (store.reads.length > 0) store.reads[0]?.answer();
      await time.pass(60_000);
      for (const host of hosts) {
        const expected = expectedFor(store, host);
        assert.equal(idOf(await cache.load(host)), expected, host);
        const cached = cache.cached(host);
        if (cached !== undefined) assert.equal(idOf(cached), expected, host);
      }
      assert.equal(time.pending, 0);
      cache.close();
    }),
    { numRuns: 2000 },
  );
});

function expectedFor(store: FakeStore, host: string): unknown {
  const labels = host.split('.');
  const patterns = [host, ...labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`), '*'];
  for (const pattern of patterns) {
    const record = store.records.get(pattern);
    if (record !== undefined && record.length > 0) return record[0];
  }
  return null;
}
