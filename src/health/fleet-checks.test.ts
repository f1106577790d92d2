import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { HealthRig, ok, unavailable } from './health-checks.suite.ts';
import type { HealthChecks } from './health-checks.ts';

let rig: HealthRig;
let checks: HealthChecks;

describe('regular health checks of a fleet', () => {
  const urls = Array.from({ length: 40 }, (_, i) => `http://10.0.2.${i}`);
  let other: HealthChecks;

  /** The instances that have rig.asked each backend in the last interval. */
  async function checkers(): Promise<Map<string, Set<string>>> {
    rig.asked = [];
    await rig.time.pass(10_000);
    return new Map(
      urls.map((url) => [url, new Set(rig.asked.filter((each) => each.url === url).map(({ instance }) => instance))]),
    );
  }

  beforeEach(async () => {
    rig = new HealthRig();
    checks = rig.start('web1');
    rig.store.set('a.com', { healthPath: '/up' }, ...urls);
    other = rig.start('web2');
    checks.confirm(['a.com']);
    other.confirm(['a.com']);
    await rig.time.pass(20_000);
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
    await rig.time.pass(5000);
    assert.equal(checks.size, urls.length);
  });

  test('move to the other when an instance disappears', async () => {
    await other.close();
    await rig.time.pass(10_000);
    assert.ok(checks.size < urls.length, 'its record has not ended yet');
    rig.store.running.delete('web2');
    await rig.time.pass(20_000);
    assert.equal(checks.size, urls.length);
    for (const instances of (await checkers()).values()) assert.deepEqual([...instances], ['web1']);
  });

  test('stay where they are while the fleet cannot be read', async () => {
    const before = await checkers();
    rig.store.isAway = true;
    await rig.time.pass(60_000);
    assert.deepEqual(await checkers(), before);
  });

  test('do not count on an instance that does not serve the host', async () => {
    rig.store.running.add('old-version');
    const third = rig.start('web3');
    third.confirm(['b.com']);
    await rig.time.pass(20_000);
    assert.equal(checks.size + other.size, urls.length);
    assert.equal(third.size, 0);
    third.confirm(['a.com']);
    await rig.time.pass(20_000);
    assert.ok(third.size > 0);
    assert.equal(checks.size + other.size + third.size, urls.length);
  });

  test('keep a mark of the instance before, which a failure renews and successes lift', async () => {
    const [url = ''] = urls;
    const [first, second] = (await checkers()).get(url)?.has('web1') ? [checks, other] : [other, checks];
    rig.reply = async (each) => (each === url ? unavailable : ok);
    await rig.time.pass(40_000);
    const mark = rig.store.markOf('a.com', url);
    assert.equal(mark?.reason, 'health check: status 503');
    await first.close();
    rig.store.running.delete(mark.instance);
    for (let i = 0; i < 60; i++) {
      await rig.time.pass(1000);
      assert.ok((rig.store.markOf('a.com', url)?.untilMs ?? 0) > rig.time.nowMs);
    }
    assert.notEqual(rig.store.markOf('a.com', url)?.instance, mark.instance);
    assert.equal(rig.store.markOf('a.com', url)?.sinceMs, mark.sinceMs);
    assert.equal(second.downCount, 1);
    rig.reply = async () => ok;
    await rig.time.pass(20_000);
    assert.equal(rig.store.markOf('a.com', url), undefined);
  });

  test('are made by every instance of a store in which they do not see each other', async () => {
    const alone = { routes: rig.store.routes, marks: rig.store.marks, notes: rig.store.notes, instances: null };
    const apart = rig.start('web9', alone);
    apart.confirm(['a.com']);
    await rig.time.pass(1000);
    assert.equal(apart.size, urls.length);
  });

  test('lift no mark of an instance that they cannot see, and that cannot reach the backend', async () => {
    const url = 'http://10.0.3.1';
    const { notes, routes } = rig.store;
    let lifts = 0;
    const marks = {
      write: rig.store.marks.write,
      remove: (pattern: string, backend: string) => {
        lifts++;
        return rig.store.marks.remove(pattern, backend);
      },
    };
    const alone = { routes, marks, notes, instances: null };
    rig.reply = async (_url, instance) => (instance === 'cut' ? unavailable : ok);
    rig.store.set('b.com', { healthPath: '/up' }, url);
    const cut = rig.start('cut', alone);
    const well = rig.start('well', alone);
    for (const each of [cut, well]) each.confirm(['b.com']);
    await rig.time.pass(500_000);
    assert.equal(lifts, 0);
    assert.equal(rig.store.markOf('b.com', url)?.instance, 'cut');
    assert.deepEqual([cut.downCount, well.downCount], [1, 0]);
    rig.reply = async () => ok;
    await rig.time.pass(20_000);
    assert.equal(lifts, 1);
    assert.equal(rig.store.markOf('b.com', url), undefined);
  });
});
