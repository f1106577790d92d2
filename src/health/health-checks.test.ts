import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { DownMark } from '../routing/backend.ts';
import { HealthRig, ok, unavailable } from './health-checks.suite.ts';
import type { HealthChecks } from './health-checks.ts';
import type { ProbeResult } from './probe.ts';

const one = 'http://10.0.0.1:80';
const two = 'http://10.0.0.2:80';
const passive = (sinceMs: number): DownMark => ({
  untilMs: sinceMs + 600_000,
  sinceMs,
  reason: 'BACKEND_RESET',
  instance: 'other',
});

let rig: HealthRig;
let checks: HealthChecks;

beforeEach(() => {
  rig = new HealthRig();
  checks = rig.start('web1');
});

describe('regular health checks', () => {
  test('begin within the first interval, and follow at intervals', async () => {
    rig.store.set('a.com', { healthPath: '/up' }, one);
    const startMs = rig.time.nowMs;
    checks.confirm(['a.com']);
    await rig.time.pass(25_000);
    assert.deepEqual(
      rig.asked.map(({ atMs, host, url }) => [atMs - startMs, host, url]),
      [
        [5000, 'a.com', one],
        [15_000, 'a.com', one],
        [25_000, 'a.com', one],
      ],
    );
    assert.deepEqual(rig.counters, { succeeded: 3, failed: 0, turnedDown: 0, turnedUp: 0, dropped: 0 });
    assert.equal(checks.isChecked('a.com'), true);
    assert.equal(checks.size, 1);
  });

  test('mark a backend after failures in a row, also the only one, and lift that after successes in a row', async () => {
    rig.store.set('a.com', { healthPath: '/up' }, one);
    rig.reply = async () => unavailable;
    checks.confirm(['a.com']);
    await rig.time.pass(15_000);
    rig.reply = async () => ok;
    await rig.time.pass(10_000);
    rig.reply = async () => unavailable;
    await rig.time.pass(20_000);
    assert.equal(rig.store.markOf('a.com', one), undefined, 'two, a success, and two');
    await rig.time.pass(10_000);
    const sinceMs = rig.time.nowMs;
    assert.deepEqual(rig.store.markOf('a.com', one), {
      untilMs: sinceMs + 35_000,
      sinceMs,
      reason: 'health check: status 503',
      instance: 'web1',
    });
    assert.equal(checks.downCount, 1);
    rig.reply = async () => ok;
    await rig.time.pass(10_000);
    assert.equal(checks.downCount, 1, 'after one success');
    await rig.time.pass(10_000);
    assert.equal(rig.store.markOf('a.com', one), undefined);
    assert.equal(checks.downCount, 0);
    assert.deepEqual(rig.lines, [
      `a backend fails its health check a.com ${one} health check: status 503`,
      `a backend passes its health check again a.com ${one}`,
    ]);
    assert.deepEqual([rig.counters.turnedDown, rig.counters.turnedUp], [1, 1]);
  });

  test('renew a mark before it ends, and less often than they fail', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthInterval: '1s', healthTimeout: '1s', healthDown: '1' }, one);
    rig.reply = async () => unavailable;
    checks.confirm(['a.com']);
    await rig.time.pass(1000);
    for (let i = 0; i < 120; i++) {
      await rig.time.pass(1000);
      assert.ok((rig.store.markOf('a.com', one)?.untilMs ?? 0) > rig.time.nowMs);
    }
    assert.ok(rig.store.writes >= 4 && rig.store.writes <= 6, `${rig.store.writes} writes for 120 checks`);
  });

  test('lift a mark of the traffic only after successes that followed it', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthUp: '3' }, one, two);
    checks.confirm(['a.com']);
    await rig.time.pass(20_000);
    // After two successes; its rig.time is that of another machine, whose clock is behind.
    rig.store.records
      .get('a.com')
      ?.down.set(one, { ...passive(rig.time.nowMs - 3_600_000), untilMs: rig.time.nowMs + 600_000 });
    await rig.time.pass(20_000);
    assert.notEqual(rig.store.markOf('a.com', one), undefined, 'two successes have followed');
    await rig.time.pass(10_000);
    assert.equal(rig.store.markOf('a.com', one), undefined);
    assert.deepEqual(rig.lines, [`a backend has recovered a.com ${one}`]);
  });

  test('leave a mark that was set while they were about to lift an earlier one', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthUp: '1', healthInterval: '4s' }, one);
    rig.store.records.get('a.com')?.down.set(one, passive(rig.time.nowMs - 1));
    checks.confirm(['a.com']);
    await rig.time.pass(1000);
    rig.reply = async () => {
      // Between the last look at the record and the end of this check.
      rig.store.records.get('a.com')?.down.set(one, passive(rig.time.nowMs));
      return ok;
    };
    await rig.time.pass(1000);
    assert.notEqual(rig.store.markOf('a.com', one), undefined);
    rig.reply = async () => ok;
    await rig.time.pass(4000);
    assert.equal(rig.store.markOf('a.com', one), undefined);
  });

  test('never ask a backend twice at once, and say that it does not respond', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthInterval: '1s', healthDown: '1' }, one);
    const pending: ((result: ProbeResult) => void)[] = [];
    rig.reply = () => new Promise((resolve) => pending.push(resolve));
    checks.confirm(['a.com']);
    await rig.time.pass(20_000);
    assert.equal(rig.asked.length, 1);
    pending.shift()?.({ status: 0, problem: 'no response in time' });
    await rig.time.pass(1);
    assert.equal(rig.asked.length, 2, 'the next one begins at once');
    assert.equal(rig.store.markOf('a.com', one)?.reason, 'health check: no response in time');
  });

  test('never ask a backend twice at once, also when options change while it hangs', async () => {
    const options = { healthPath: '/up', healthInterval: '1s', healthTimeout: '1m' };
    let underWay = 0;
    let most = 0;
    rig.reply = async () => {
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => rig.time.setTimer(55_000, resolve));
      underWay--;
      return ok;
    };
    rig.store.set('a.com', options, one);
    checks.confirm(['a.com']);
    await rig.time.pass(6000);
    for (let i = 2; i < 10; i++) {
      rig.store.set('a.com', { ...options, healthDown: String(i) }, one);
      await rig.time.pass(5500);
    }
    await rig.time.pass(55_000);
    assert.equal(most, 1);
    assert.equal(rig.asked.length, 2, 'the check with the new options follows');
  });

  test('of backends that hang are at most 32 at once, once these are known, and delay no others', async () => {
    const hanging = Array.from({ length: 200 }, (_, i) => `http://10.0.1.${i}`);
    rig.store.set('a.com', { healthPath: '/up' }, ...hanging);
    rig.store.set('b.com', { healthPath: '/up' }, one);
    let underWay = 0;
    let most = 0;
    rig.reply = async (url) => {
      if (url === one) return ok;
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => rig.time.setTimer(5000, resolve));
      underWay--;
      return { status: 0, problem: 'no response in time' };
    };
    checks.confirm(['a.com']);
    // Each of them has been slow once.
    await rig.time.pass(60_000);
    most = 0;
    checks.confirm(['b.com']);
    await rig.time.pass(60_000);
    assert.equal(most, 32);
    const times = rig.asked.filter(({ url }) => url === one).map(({ atMs }) => atMs);
    assert.deepEqual(
      times.map((atMs) => atMs - (times[0] ?? 0)),
      [0, 10_000, 20_000, 30_000, 40_000, 50_000],
    );
  });

  for (const hangMs of [5000, 60_000]) {
    test(`delay no other host when many backends begin to hang for ${hangMs / 1000} s, and are bounded`, async () => {
      const hanging = Array.from({ length: 1000 }, (_, i) => `http://10.1.${i >> 8}.${i & 255}:80`);
      rig.store.set('a.com', { healthPath: '/up', healthTimeout: `${hangMs}ms` }, ...hanging);
      rig.store.set('b.com', { healthPath: '/up' }, one);
      checks.confirm(['a.com', 'b.com']);
      await rig.time.pass(30_000);
      let underWay = 0;
      let most = 0;
      rig.reply = async (url) => {
        if (url === one) return ok;
        most = Math.max(most, ++underWay);
        await new Promise<void>((resolve) => rig.time.setTimer(hangMs, resolve));
        underWay--;
        return { status: 0, problem: 'no response in time' };
      };
      rig.asked = [];
      let formerMs = rig.time.nowMs;
      await rig.time.pass(300_000);
      const times = rig.asked.filter(({ url }) => url === one).map(({ atMs }) => atMs);
      for (const atMs of [...times, rig.time.nowMs]) {
        assert.ok(atMs - formerMs <= 12_000, `no check for ${atMs - formerMs} ms`);
        formerMs = atMs;
      }
      assert.ok(most <= 2048, `${most} at once`);
    });
  }

  test('name where a redirect leads, and the text that is missing', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    rig.store.set('b.com', { healthPath: '/up', healthDown: '1', healthText: 'fine' }, one);
    rig.reply = async () => ({ status: 302, problem: '', location: 'https://a.com/log-in' });
    checks.confirm(['a.com']);
    await rig.time.pass(5000);
    rig.reply = async () => ({ status: 200, problem: '', body: 'well' });
    checks.confirm(['b.com']);
    await rig.time.pass(5000);
    const redirect = 'health check: status 302 to https://a.com/log-in, which is not followed';
    assert.equal(rig.store.markOf('a.com', one)?.reason, redirect);
    assert.equal(rig.store.markOf('b.com', one)?.reason, 'health check: text not found');
  });

  test('go to canaries and backups, not to backends that drain, with the Host that backends know', async () => {
    const until = Math.round(rig.time.nowMs / 1000) + 3600;
    const urls = [`${one}#backup`, `${two}#canary=5`, `http://10.0.0.3:80#drain=${until}`, 'http://10.0.0.4:80'];
    rig.store.set('*.a.com', { healthPath: '/up' }, ...urls);
    rig.store.set('b.com', { healthPath: '/up', backendHost: 'app.internal' }, 'http://10.0.0.5:8000');
    rig.store.set('c.com', { healthPath: '/up', backendHost: 'backend' }, 'http://10.0.0.6:8000');
    checks.confirm(['*.a.com', 'b.com', 'c.com']);
    await rig.time.pass(9000);
    assert.deepEqual(
      rig.asked.map(({ host, url }) => `${url} ${host}`),
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
    rig.store.set('*.com', { healthPath: '/up' });
    rig.store.set('a.com', {}, one);
    checks.confirm(['a.com']);
    await rig.time.pass(6000);
    assert.equal(rig.asked.length, 1);
    rig.store.set('a.com', {}, two);
    await rig.time.pass(20_000);
    assert.deepEqual(new Set(rig.asked.slice(1).map(({ url }) => url)), new Set([two]));
    rig.store.set('a.com', { healthPath: 'off' }, two);
    await rig.time.pass(5000);
    rig.asked = [];
    await rig.time.pass(60_000);
    assert.deepEqual(rig.asked, []);
    assert.equal(checks.isChecked('a.com'), false);
    rig.store.set('a.com', {}, two);
    await rig.time.pass(20_000);
    assert.ok(rig.asked.length > 0);
    rig.store.set('a.com', { healthPath: 'off' }, two);
    await rig.time.pass(5000);
    rig.store.set('a.com', {}, two);
    checks.confirm(['a.com']);
    await rig.time.pass(0);
    assert.equal(checks.size, 1, 'a report makes it read at once');
    rig.store.records.delete('a.com');
    await rig.time.pass(5000);
    assert.equal(checks.size, 0);
  });

  test('lift their own marks when they are turned off, and no other ones', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthDown: '1', healthInterval: '1h' }, one, two);
    rig.store.records.get('a.com')?.down.set(two, passive(rig.time.nowMs));
    rig.reply = async () => unavailable;
    checks.confirm(['a.com']);
    await rig.time.pass(450_000);
    // Workers go on to serve the host.
    for (let i = 0; i < 4; i++) {
      checks.confirm(['a.com']);
      await rig.time.pass(400_000);
    }
    rig.store.records.get('a.com')?.down.set(two, passive(rig.time.nowMs));
    assert.equal(rig.store.markOf('a.com', one)?.reason, 'health check: status 503');
    await rig.time.pass(5000);
    rig.store.set('a.com', {}, one, two);
    await rig.time.pass(5000);
    assert.equal(rig.store.markOf('a.com', one), undefined);
    assert.equal(rig.store.markOf('a.com', two)?.reason, 'BACKEND_RESET');
  });

  test('lift a mark too that was being written when they were turned off', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    rig.reply = async () => unavailable;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { write } = rig.store.marks;
    rig.store.marks.write = async (...args) => {
      await promise;
      return write(...args);
    };
    checks.confirm(['a.com']);
    await rig.time.pass(6000);
    rig.store.set('a.com', {}, one);
    await rig.time.pass(5000);
    assert.equal(checks.size, 0);
    resolve();
    await rig.time.pass(0);
    assert.equal(rig.store.writes, 1);
    assert.equal(rig.store.markOf('a.com', one), undefined);
  });

  test('end when no worker has confirmed the host for ten minutes', async () => {
    rig.store.set('a.com', { healthPath: '/up' }, one);
    checks.confirm(['a.com']);
    await rig.time.pass(590_000);
    checks.confirm(['a.com']);
    await rig.time.pass(590_000);
    assert.equal(checks.size, 1);
    await rig.time.pass(20_000);
    assert.equal(checks.size, 0);
    assert.deepEqual(checks.patterns, []);
    assert.equal(rig.time.pending, 0);
  });

  test('go on while the store is away, and write the mark once it is back', async () => {
    rig.store.set('a.com', { healthPath: '/up', healthDown: '1' }, one);
    checks.confirm(['a.com']);
    await rig.time.pass(5000);
    rig.store.isAway = true;
    rig.reply = async () => unavailable;
    await rig.time.pass(30_000);
    assert.equal(rig.asked.length, 4);
    assert.ok(rig.problems.includes('the mark of a health check cannot be written: away'));
    assert.ok(rig.problems.includes('routes with health checks cannot be read: away'));
    rig.store.isAway = false;
    await rig.time.pass(10_000);
    assert.equal(rig.store.markOf('a.com', one)?.reason, 'health check: status 503');
  });

  test('have bounds, and count what is beyond', async () => {
    const urls = Array.from({ length: 6000 }, (_, i) => `http://10.${i >> 8}.1.${i % 256}`);
    rig.store.set('a.com', { healthPath: '/up' }, ...urls);
    rig.store.set('b.com', { healthPath: '/up' }, ...urls);
    checks.confirm(['a.com', 'b.com']);
    await rig.time.pass(0);
    assert.equal(checks.size, 10_000);
    assert.equal(rig.counters.dropped, 2000);
    assert.deepEqual([checks.isChecked('a.com'), checks.isChecked('b.com')], [true, false]);
    checks.confirm(Array.from({ length: 12_000 }, (_, i) => `h${i}.com`));
    assert.equal(checks.patterns.length, 10_000);
    assert.equal(rig.counters.dropped, 2000 + 2002);
  });

  test('end with the instance', async () => {
    rig.store.set('a.com', { healthPath: '/up' }, one);
    checks.confirm(['a.com']);
    await rig.time.pass(6000);
    await checks.close();
    checks.confirm(['a.com', 'b.com']);
    await rig.time.pass(60_000);
    assert.equal(rig.asked.length, 1);
    assert.equal(rig.time.pending, 0);
  });
});
