import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { DownMark } from '../routing/backend.ts';
import type { StoredRoute } from '../stores/contract.ts';
import { HealthChecks, type HealthCounters, type HealthStore } from './health-checks.ts';
import type { ProbeResult } from './probe.ts';

const ok: ProbeResult = { status: 200, problem: '' };
const unavailable: ProbeResult = { status: 503, problem: '' };

/** A store that several instances share. */
class SharedStore implements HealthStore {
  readonly records = new Map<
    string,
    { frontend: string[]; down: Map<string, DownMark>; options: Map<string, string> }
  >();
  readonly running = new Set<string>();
  readonly texts = new Map<string, string>();
  writes = 0;
  isAway = false;

  set(pattern: string, options: Readonly<Record<string, string>>, ...urls: string[]): void {
    const down = this.records.get(pattern)?.down ?? new Map<string, DownMark>();
    const frontend = urls.length === 0 ? [] : [pattern, ...urls];
    this.records.set(pattern, { frontend, down, options: new Map(Object.entries(options)) });
  }

  markOf(pattern: string, url: string): DownMark | undefined {
    return this.records.get(pattern)?.down.get(url);
  }

  readonly routes = {
    read: async (patterns: readonly string[]) => {
      this.check();
      // Marks as they are now, also if they change after the reading.
      return patterns.map((pattern): StoredRoute | null => {
        const record = this.records.get(pattern);
        return record === undefined ? null : { ...record, down: new Map(record.down) };
      });
    },
  };

  readonly marks = {
    write: async (pattern: string, url: string, mark: DownMark) => {
      this.check();
      this.writes++;
      const marks = this.records.get(pattern)?.down;
      if (mark.untilMs > (marks?.get(url)?.untilMs ?? 0)) marks?.set(url, mark);
      return true;
    },
    remove: async (pattern: string, url: string) => {
      this.check();
      this.records.get(pattern)?.down.delete(url);
    },
  };

  readonly instances = {
    list: async () => {
      this.check();
      return [...this.running].map((instance) => ({ instance, fields: {} }));
    },
  };

  readonly notes = {
    read: async (name: string) => this.texts.get(name) ?? null,
    write: async (name: string, text: string | null) => {
      if (text === null) this.texts.delete(name);
      else this.texts.set(name, text);
      return true;
    },
  };

  private check(): void {
    if (this.isAway) throw new Error('away');
  }
}

interface Asked {
  readonly instance: string;
  readonly url: string;
  readonly host: string;
  readonly atMs: number;
}

let time: FakeTime;
let store: SharedStore;
let asked: Asked[];
let lines: string[];
let problems: string[];
let reply: (url: string) => Promise<ProbeResult>;
let checks: HealthChecks;
let counters: HealthCounters;

function start(instance: string, shared: HealthStore = store): HealthChecks {
  store.running.add(instance);
  const write = (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
    void lines.push([message, fields['host'], fields['backend'], fields['reason']].filter(Boolean).join(' '));
  return new HealthChecks({
    store: shared,
    instance,
    ask: (target, host) => {
      asked.push({ instance, url: target.url, host, atMs: time.nowMs });
      return reply(target.url);
    },
    clock: time.clock,
    setTimer: time.setTimer,
    random: () => 0.5,
    counters,
    log: { info: write, warn: write },
    onProblem: (what, error) => problems.push(`${what}: ${error.message}`),
  });
}

const one = 'http://10.0.0.1:80';
const two = 'http://10.0.0.2:80';
const passive = (sinceMs: number): DownMark => ({
  untilMs: sinceMs + 600_000,
  sinceMs,
  reason: 'BACKEND_RESET',
  instance: 'other',
});

beforeEach(() => {
  time = new FakeTime();
  store = new SharedStore();
  asked = [];
  lines = [];
  problems = [];
  counters = { succeeded: 0, failed: 0, turnedDown: 0, turnedUp: 0, dropped: 0 };
  reply = async () => ok;
  checks = start('web1');
});

describe('regular health checks', () => {
  test('begin within the first interval, and follow at intervals', async () => {
    store.set('a.com', { healthPath: '/up' }, one);
    const startMs = time.nowMs;
    checks.confirm(['a.com']);
    await time.pass(25_000);
    assert.deepEqual(
      asked.map(({ atMs, host, url }) => [atMs - startMs, host, url]),
      [
        [5000, 'a.com', one],
        [15_000, 'a.com', one],
        [25_000, 'a.com', one],
      ],
    );
    assert.deepEqual(counters, { succeeded: 3, failed: 0, turnedDown: 0, turnedUp: 0, dropped: 0 });
    assert.equal(checks.isChecked('a.com'), true);
    assert.equal(checks.size, 1);
  });

  test('mark a backend after failures in a row, also the only one, and lift that after successes in a row', async () => {
    store.set('a.com', { healthPath: '/up' }, one);
    reply = async () => unavailable;
    checks.confirm(['a.com']);
    await time.pass(15_000);
    reply = async () => ok;
    await time.pass(10_000);
    reply = async () => unavailable;
    await time.pass(20_000);
    assert.equal(store.markOf('a.com', one), undefined, 'two, a success, and two');
    await time.pass(10_000);
    const sinceMs = time.nowMs;
    assert.deepEqual(store.markOf('a.com', one), {
      untilMs: sinceMs + 35_000,
      sinceMs,
      reason: 'health check: status 503',
      instance: 'web1',
    });
    assert.equal(checks.downCount, 1);
    reply = async () => ok;
    await time.pass(10_000);
    assert.equal(checks.downCount, 1, 'after one success');
    await time.pass(10_000);
    assert.equal(store.markOf('a.com', one), undefined);
    assert.equal(checks.downCount, 0);
    assert.deepEqual(lines, [
      `a backend fails its health check a.com ${one} health check: status 503`,
      `a backend passes its health check again a.com ${one}`,
    ]);
    assert.deepEqual([counters.turnedDown, counters.turnedUp], [1, 1]);
  });

  test('renew a mark before it ends, and less often than they fail', async () => {
    store.set('a.com', { healthPath: '/up', healthInterval: '1s', healthTimeout: '1s', healthDown: '1' }, one);
    reply = async () => unavailable;
    checks.confirm(['a.com']);
    await time.pass(1000);
    for (let i = 0; i < 120; i++) {
      await time.pass(1000);
      assert.ok((store.markOf('a.com', one)?.untilMs ?? 0) > time.nowMs);
    }
    assert.ok(store.writes >= 4 && store.writes <= 6, `${store.writes} writes for 120 checks`);
  });

  test('lift a mark of the traffic only after successes that followed it', async () => {
    store.set('a.com', { healthPath: '/up', healthUp: '3' }, one, two);
    checks.confirm(['a.com']);
    await time.pass(20_000);
    // After two successes; its time is that of another machine, whose clock is behind.
    store.records.get('a.com')?.down.set(one, { ...passive(time.nowMs - 3_600_000), untilMs: time.nowMs + 600_000 });
    await time.pass(20_000);
    assert.notEqual(store.markOf('a.com', one), undefined, 'two successes have followed');
    await time.pass(10_000);
    assert.equal(store.markOf('a.com', one), undefined);
    assert.deepEqual(lines, [`a backend has recovered a.com ${one}`]);
  });

  test('leave a mark that was set while they were about to lift an earlier one', async () => {
    store.set('a.com', { healthPath: '/up', healthUp: '1', healthInterval: '4s' }, one);
    store.records.get('a.com')?.down.set(one, passive(time.nowMs - 1));
    checks.confirm(['a.com']);
    await time.pass(1000);
    reply = async () => {
      // Between the last look at the record and the end of this check.
      store.records.get('a.com')?.down.set(one, passive(time.nowMs));
      return ok;
    };
    await time.pass(1000);
    assert.notEqual(store.markOf('a.com', one), undefined);
    reply = async () => ok;
    await time.pass(4000);
    assert.equal(store.markOf('a.com', one), undefined);
  });

  test('never ask a backend twice at once, and say that it does not respond', async () => {
    store.set('a.com', { healthPath: '/up', healthInterval: '1s', healthDown: '1' }, one);
    const pending: ((result: ProbeResult) => void)[] = [];
    reply = () => new Promise((resolve) => pending.push(resolve));
    checks.confirm(['a.com']);
    await time.pass(20_000);
    assert.equal(asked.length, 1);
    pending.shift()?.({ status: 0, problem: 'no response in time' });
    await time.pass(1);
    assert.equal(asked.length, 2, 'the next one begins at once');
    assert.equal(store.markOf('a.com', one)?.reason, 'health check: no response in time');
  });

  test('are at most 64 at once, and backends that hang delay no others for long', async () => {
    const hanging = Array.from({ length: 200 }, (_, i) => `http://10.0.1.${i}`);
    store.set('a.com', { healthPath: '/up' }, ...hanging);
    store.set('b.com', { healthPath: '/up' }, one);
    let underWay = 0;
    let most = 0;
    reply = async (url) => {
      if (url === one) return ok;
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => time.setTimer(5000, resolve));
      underWay--;
      return { status: 0, problem: 'no response in time' };
    };
    checks.confirm(['a.com']);
    // Each of them has been slow once.
    await time.pass(60_000);
    checks.confirm(['b.com']);
    await time.pass(60_000);
    assert.ok(most > 32 && most <= 64, `${most} at once`);
    const times = asked.filter(({ url }) => url === one).map(({ atMs }) => atMs);
    assert.deepEqual(
      times.map((atMs) => atMs - (times[0] ?? 0)),
      [0, 10_000, 20_000, 30_000, 40_000, 50_000],
    );
  });

  test('name where a redirect leads, and the text that is missing', async () => {
    store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    store.set('b.com', { healthPath: '/up', healthDown: '1', healthText: 'fine' }, one);
    reply = async () => ({ status: 302, problem: '', location: 'https://a.com/log-in' });
    checks.confirm(['a.com']);
    await time.pass(5000);
    reply = async () => ({ status: 200, problem: '', body: 'well' });
    checks.confirm(['b.com']);
    await time.pass(5000);
    const redirect = 'health check: status 302 to https://a.com/log-in, which is not followed';
    assert.equal(store.markOf('a.com', one)?.reason, redirect);
    assert.equal(store.markOf('b.com', one)?.reason, 'health check: text not found');
  });

  test('go to canaries and backups, not to backends that drain, with the Host that backends know', async () => {
    const until = Math.round(time.nowMs / 1000) + 3600;
    const urls = [`${one}#backup`, `${two}#canary=5`, `http://10.0.0.3:80#drain=${until}`, 'http://10.0.0.4:80'];
    store.set('*.a.com', { healthPath: '/up' }, ...urls);
    store.set('b.com', { healthPath: '/up', backendHost: 'app.internal' }, 'http://10.0.0.5:8000');
    store.set('c.com', { healthPath: '/up', backendHost: 'backend' }, 'http://10.0.0.6:8000');
    checks.confirm(['*.a.com', 'b.com', 'c.com']);
    await time.pass(9000);
    assert.deepEqual(
      asked.map(({ host, url }) => `${url} ${host}`),
      [
        `${one} a.com`,
        `${two} a.com`,
        'http://10.0.0.4:80 a.com',
        'http://10.0.0.5:8000 app.internal',
        'http://10.0.0.6:8000 10.0.0.6:8000',
      ],
    );
  });

  test('follow the record and the options, those of a wildcard too, without another word of the workers', async () => {
    store.set('*.com', { healthPath: '/up' });
    store.set('a.com', {}, one);
    checks.confirm(['a.com']);
    await time.pass(6000);
    assert.equal(asked.length, 1);
    store.set('a.com', {}, two);
    await time.pass(20_000);
    assert.deepEqual(new Set(asked.slice(1).map(({ url }) => url)), new Set([two]));
    store.set('a.com', { healthPath: 'off' }, two);
    await time.pass(5000);
    asked = [];
    await time.pass(60_000);
    assert.deepEqual(asked, []);
    assert.equal(checks.isChecked('a.com'), false);
    store.set('a.com', {}, two);
    await time.pass(20_000);
    assert.ok(asked.length > 0);
    store.set('a.com', { healthPath: 'off' }, two);
    await time.pass(5000);
    store.set('a.com', {}, two);
    checks.confirm(['a.com']);
    await time.pass(0);
    assert.equal(checks.size, 1, 'a report makes it read at once');
    store.records.delete('a.com');
    await time.pass(5000);
    assert.equal(checks.size, 0);
  });

  test('lift their own marks when they are turned off, and no other ones', async () => {
    store.set('a.com', { healthPath: '/up', healthDown: '1', healthInterval: '1h' }, one, two);
    store.records.get('a.com')?.down.set(two, passive(time.nowMs));
    reply = async () => unavailable;
    checks.confirm(['a.com']);
    await time.pass(450_000);
    // Workers go on to serve the host.
    for (let i = 0; i < 4; i++) {
      checks.confirm(['a.com']);
      await time.pass(400_000);
    }
    store.records.get('a.com')?.down.set(two, passive(time.nowMs));
    assert.equal(store.markOf('a.com', one)?.reason, 'health check: status 503');
    await time.pass(5000);
    store.set('a.com', {}, one, two);
    await time.pass(5000);
    assert.equal(store.markOf('a.com', one), undefined);
    assert.equal(store.markOf('a.com', two)?.reason, 'BACKEND_RESET');
  });

  test('lift a mark too that was being written when they were turned off', async () => {
    store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    reply = async () => unavailable;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { write } = store.marks;
    store.marks.write = async (...args) => {
      await promise;
      return write(...args);
    };
    checks.confirm(['a.com']);
    await time.pass(6000);
    store.set('a.com', {}, one);
    await time.pass(5000);
    assert.equal(checks.size, 0);
    resolve();
    await time.pass(0);
    assert.equal(store.writes, 1);
    assert.equal(store.markOf('a.com', one), undefined);
  });

  test('end when no worker has confirmed the host for ten minutes', async () => {
    store.set('a.com', { healthPath: '/up' }, one);
    checks.confirm(['a.com']);
    await time.pass(590_000);
    checks.confirm(['a.com']);
    await time.pass(590_000);
    assert.equal(checks.size, 1);
    await time.pass(20_000);
    assert.equal(checks.size, 0);
    assert.deepEqual(checks.patterns, []);
    assert.equal(time.pending, 0);
  });

  test('go on while the store is away, and write the mark once it is back', async () => {
    store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    checks.confirm(['a.com']);
    await time.pass(5000);
    store.isAway = true;
    reply = async () => unavailable;
    await time.pass(30_000);
    assert.equal(asked.length, 4);
    assert.ok(problems.includes('the mark of a health check cannot be written: away'));
    assert.ok(problems.includes('routes with health checks cannot be read: away'));
    store.isAway = false;
    await time.pass(10_000);
    assert.equal(store.markOf('a.com', one)?.reason, 'health check: status 503');
  });

  test('have bounds, and count what is beyond', async () => {
    const urls = Array.from({ length: 6000 }, (_, i) => `http://10.${i >> 8}.1.${i % 256}`);
    store.set('a.com', { healthPath: '/up' }, ...urls);
    store.set('b.com', { healthPath: '/up' }, ...urls);
    checks.confirm(['a.com', 'b.com']);
    await time.pass(0);
    assert.equal(checks.size, 10_000);
    assert.equal(counters.dropped, 2000);
    assert.deepEqual([checks.isChecked('a.com'), checks.isChecked('b.com')], [true, false]);
    checks.confirm(Array.from({ length: 12_000 }, (_, i) => `h${i}.com`));
    assert.equal(checks.patterns.length, 10_000);
    assert.equal(counters.dropped, 2000 + 2002);
  });

  test('end with the instance', async () => {
    store.set('a.com', { healthPath: '/up' }, one);
    checks.confirm(['a.com']);
    await time.pass(6000);
    await checks.close();
    checks.confirm(['a.com', 'b.com']);
    await time.pass(60_000);
    assert.equal(asked.length, 1);
    assert.equal(time.pending, 0);
  });
});

describe('regular health checks of a fleet', () => {
  const urls = Array.from({ length: 40 }, (_, i) => `http://10.0.2.${i}`);
  let other: HealthChecks;

  /** The instances that have asked each backend in the last interval. */
  async function checkers(): Promise<Map<string, Set<string>>> {
    asked = [];
    await time.pass(10_000);
    return new Map(
      urls.map((url) => [url, new Set(asked.filter((each) => each.url === url).map(({ instance }) => instance))]),
    );
  }

  beforeEach(async () => {
    store.set('a.com', { healthPath: '/up' }, ...urls);
    other = start('web2');
    checks.confirm(['a.com']);
    other.confirm(['a.com']);
    await time.pass(20_000);
  });

  test('are made by one instance for each backend, and both take part', async () => {
    const seen = await checkers();
    for (const [url, instances] of seen) assert.equal(instances.size, 1, url);
    assert.equal(checks.size + other.size, urls.length);
    assert.ok(checks.size > 0 && other.size > 0);
  });

  test('move to the other when an instance says that it ends', async () => {
    await other.close();
    await other.withdraw();
    await time.pass(5000);
    assert.equal(checks.size, urls.length);
  });

  test('move to the other when an instance disappears', async () => {
    await other.close();
    await time.pass(10_000);
    assert.ok(checks.size < urls.length, 'its record has not ended yet');
    store.running.delete('web2');
    await time.pass(20_000);
    assert.equal(checks.size, urls.length);
    for (const instances of (await checkers()).values()) assert.deepEqual([...instances], ['web1']);
  });

  test('stay where they are while the fleet cannot be read', async () => {
    const before = await checkers();
    store.isAway = true;
    await time.pass(60_000);
    assert.deepEqual(await checkers(), before);
  });

  test('do not count on an instance that does not serve the host', async () => {
    store.running.add('old-version');
    const third = start('web3');
    third.confirm(['b.com']);
    await time.pass(20_000);
    assert.equal(checks.size + other.size, urls.length);
    assert.equal(third.size, 0);
    third.confirm(['a.com']);
    await time.pass(20_000);
    assert.ok(third.size > 0);
    assert.equal(checks.size + other.size + third.size, urls.length);
  });

  test('keep a mark of the instance before, which a failure renews and successes lift', async () => {
    const [url = ''] = urls;
    const [first, second] = (await checkers()).get(url)?.has('web1') ? [checks, other] : [other, checks];
    reply = async (each) => (each === url ? unavailable : ok);
    await time.pass(40_000);
    const mark = store.markOf('a.com', url);
    assert.equal(mark?.reason, 'health check: status 503');
    await first.close();
    store.running.delete(mark.instance);
    for (let i = 0; i < 60; i++) {
      await time.pass(1000);
      assert.ok((store.markOf('a.com', url)?.untilMs ?? 0) > time.nowMs);
    }
    assert.notEqual(store.markOf('a.com', url)?.instance, mark.instance);
    assert.equal(store.markOf('a.com', url)?.sinceMs, mark.sinceMs);
    assert.equal(second.downCount, 1);
    reply = async () => ok;
    await time.pass(20_000);
    assert.equal(store.markOf('a.com', url), undefined);
  });

  test('are made by every instance of a store in which they do not see each other', async () => {
    const alone = { routes: store.routes, marks: store.marks, notes: store.notes, instances: null };
    const apart = start('web9', alone);
    apart.confirm(['a.com']);
    await time.pass(1000);
    assert.equal(apart.size, urls.length);
  });
});
