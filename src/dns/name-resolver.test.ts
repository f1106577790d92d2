import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeLookup } from '../../test/helpers/fake-lookup.ts';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { NameWatcher } from './name-entry.ts';
import { type NameLimits, NameResolver } from './name-resolver.ts';

const one = ['10.0.0.1'];
const two = ['10.0.0.2'];

/** A resolver in a time of its own, and what it says. */
function setUp(limits: Partial<NameLimits> = {}) {
  const time = new FakeTime();
  const lookup = new FakeLookup();
  const logged: string[] = [];
  const errors: Error[] = [];
  const write = (message: string) => void logged.push(message);
  const resolver = new NameResolver({
    lookup,
    log: { debug: write, info: write, warn: write, error: write },
    onInternalError: (error) => void errors.push(error),
    limits,
    clock: time.clock,
    setTimer: time.setTimer,
  });
  /** Watches a name. Addresses are heard joined, failures by their code. */
  const watch = (name: string, also: Partial<NameWatcher> = {}) => {
    const heard: string[] = [];
    const watching = resolver.watch(name, {
      onAddresses: (addresses) => {
        heard.push(addresses.join(' '));
        also.onAddresses?.(addresses);
      },
      onFailed: (problem) => {
        heard.push(problem.code);
        also.onFailed?.(problem);
      },
    });
    return { heard, close: () => watching.close() };
  };
  return { time, lookup, logged, errors, resolver, watch };
}

describe('a name', () => {
  test('is looked up once for all who watch it, in upper or lower case', async () => {
    const { time, lookup, resolver, watch } = setUp();
    const watches = [watch('a.test'), watch('A.Test'), watch('a.test')];
    await time.pass(0);
    assert.deepEqual(lookup.asked, ['a.test']);
    assert.equal(resolver.inFlight, 1);
    lookup.answer('a.test', ['10.0.0.1', '::1']);
    assert.deepEqual(
      watches.map(({ heard }) => heard),
      [['10.0.0.1 ::1'], ['10.0.0.1 ::1'], ['10.0.0.1 ::1']],
    );
    assert.deepEqual(resolver.counters, { lookups: 1, failures: 0, cancelled: 0, rejected: 0 });
    assert.equal(resolver.inFlight, 0);
  });

  test('that is known is given before watch returns', async () => {
    const { time, lookup, watch } = setUp();
    watch('a.test').close();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
    first.close();
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
    assert.deepEqual(lookup.log, ['a.test']);
  });

  test('of the hosts file needs no query and no slot', async () => {
    const { time, lookup, resolver, watch } = setUp({ lookupsMax: 1, waitingMax: 0 });
    lookup.hosts.set('h.test', one);
    watch('dead.test');
    await time.pass(0);
    const { heard } = watch('h.test');
    await time.pass(0);
    assert.deepEqual(heard, ['10.0.0.1']);
    assert.deepEqual(resolver.describe('H.test'), {
      addresses: one,
      source: 'hosts',
      expiresInMs: 2000,
      problem: null,
    });
    lookup.hosts.set('h.test', two);
    await time.pass(2000);
    assert.deepEqual(heard, ['10.0.0.1', '10.0.0.2']);
    assert.equal(resolver.counters.lookups, 1);
  });

  test('can be watched again from within a call, and a watcher that throws keeps no other from hearing', async () => {
    const { time, lookup, errors, watch } = setUp();
    const nested: string[][] = [];
    watch('a.test', {
      onAddresses: () => {
        nested.push(watch('a.test').heard);
        throw new Error('from a watcher');
      },
    });
    const last = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    assert.deepEqual([...nested, last.heard], [['10.0.0.1'], ['10.0.0.1']]);
    assert.deepEqual(errors.map(String), ['Error: from a watcher']);
  });
});

describe('a watched name', () => {
  test('is looked up again when its TTL ends, and only a changed set is reported', async () => {
    const { time, lookup, watch } = setUp();
    const { heard } = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', ['10.0.0.1', '10.0.0.2'], { ttlSeconds: 7 });
    await time.pass(6999);
    assert.deepEqual(lookup.asked, []);
    await time.pass(1);
    assert.deepEqual(lookup.asked, ['a.test']);
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1 10.0.0.2'], 'those in use, while they are refreshed');
    lookup.answer('a.test', ['10.0.0.2', '10.0.0.1'], { ttlSeconds: 7 });
    assert.deepEqual(heard, ['10.0.0.1 10.0.0.2']);
    await time.pass(7000);
    lookup.answer('a.test', one);
    assert.deepEqual(heard, ['10.0.0.1 10.0.0.2', '10.0.0.1']);
  });

  test('has a TTL within bounds', async () => {
    const { time, lookup, resolver, watch } = setUp();
    watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one, { ttlSeconds: 0 });
    assert.equal(resolver.describe('a.test')?.expiresInMs, 1000);
    await time.pass(1000);
    lookup.answer('a.test', one, { ttlSeconds: 86_400 });
    assert.equal(resolver.describe('a.test')?.expiresInMs, 60_000);
  });

  test('keeps its last good addresses while lookups fail, which are tried with growing pauses', async () => {
    const { time, lookup, resolver, logged, watch } = setUp();
    const { heard } = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    await time.pass(10_000);
    for (const code of ['ETIMEOUT', 'ESERVFAIL', 'EREFUSED', 'ENOTFOUND', 'ENODATA', 'ETIMEOUT', 'ETIMEOUT']) {
      lookup.fail('a.test', code);
      const pauseMs = Math.min(30_000, 1000 * 2 ** (resolver.counters.failures - 1));
      await time.pass(pauseMs - 1);
      assert.deepEqual(lookup.asked, [], code);
      assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
      await time.pass(1);
      assert.deepEqual(lookup.asked, ['a.test'], code);
    }
    const { problem, ...rest } = resolver.describe('a.test') ?? { problem: null };
    assert.equal(problem?.code, 'ETIMEOUT');
    assert.deepEqual(rest, { addresses: one, source: 'dns', expiresInMs: 0 });
    assert.deepEqual(heard, ['10.0.0.1']);
    assert.deepEqual(
      new Set(logged),
      new Set(['the name of a backend cannot be resolved again; its last addresses are used']),
    );
    assert.ok(logged.length <= 3, 'rate limited');
    lookup.answer('a.test', two);
    assert.deepEqual(heard, ['10.0.0.1', '10.0.0.2']);
    assert.equal(resolver.describe('a.test')?.problem, null);
  });

  test('keeps the addresses of a family whose query failed', async () => {
    const { time, lookup, watch } = setUp();
    const { heard } = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', ['10.0.0.1', '::1']);
    await time.pass(10_000);
    lookup.answer('a.test', one, { missing: 6 });
    await time.pass(10_000);
    lookup.answer('a.test', ['::2'], { missing: 4 });
    await time.pass(10_000);
    lookup.answer('a.test', one);
    assert.deepEqual(heard, ['10.0.0.1 ::1', '10.0.0.1 ::2', '10.0.0.1']);
  });
});

describe('a name that fails', () => {
  test('is reported, remembered for a moment, and tried again while it is watched', async () => {
    const { time, lookup, logged, watch } = setUp();
    const { heard } = watch('a.test');
    await time.pass(0);
    lookup.fail('a.test', 'ENOTFOUND');
    assert.deepEqual(heard, ['ENOTFOUND']);
    const later = watch('a.test');
    assert.deepEqual(later.heard, ['ENOTFOUND']);
    await time.pass(999);
    assert.deepEqual(lookup.asked, []);
    await time.pass(1);
    assert.deepEqual(lookup.asked, ['a.test']);
    lookup.answer('a.test', one);
    assert.deepEqual(heard, ['ENOTFOUND', '10.0.0.1']);
    assert.deepEqual(later.heard, ['ENOTFOUND', '10.0.0.1']);
    assert.deepEqual(logged, ['the name of a backend cannot be resolved']);
  });

  test('is not tried again once nobody watches it', async () => {
    const { time, lookup, resolver, watch } = setUp();
    const { close } = watch('a.test');
    await time.pass(0);
    lookup.fail('a.test', 'ENOTFOUND');
    close();
    assert.equal(time.pending, 0);
    assert.deepEqual(watch('a.test').heard, ['ENOTFOUND']);
    assert.equal(resolver.describe('a.test')?.problem?.code, 'ENOTFOUND');
  });

  test('with a timeout is left alone for growing pauses, up to ten seconds', async () => {
    const { time, lookup, watch } = setUp();
    for (const pauseMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
      const request = watch('dead.test', { onFailed: () => {} });
      await time.pass(5000);
      lookup.fail('dead.test', 'ETIMEOUT');
      request.close();
      await time.pass(pauseMs - 1);
      const early = watch('dead.test');
      assert.deepEqual(early.heard, ['ETIMEOUT']);
      early.close();
      await time.pass(1);
    }
  });
});

describe('a name without watchers', () => {
  test('is known until its TTL ends, without a timer', async () => {
    const { time, lookup, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    first.close();
    assert.equal(time.pending, 0);
    await time.pass(9999);
    const second = watch('a.test');
    assert.deepEqual(second.heard, ['10.0.0.1']);
    second.close();
    await time.pass(1);
    assert.deepEqual(watch('a.test').heard, []);
    await time.pass(0);
    assert.deepEqual(lookup.log, ['a.test', 'a.test']);
  });

  test('has its query cancelled', async () => {
    const { time, lookup, resolver, watch } = setUp();
    const watches = [watch('a.test'), watch('a.test')];
    await time.pass(0);
    watches[0]?.close();
    assert.deepEqual(lookup.asked, ['a.test']);
    watches[1]?.close();
    watches[1]?.close();
    assert.deepEqual(lookup.log, ['a.test', '!a.test']);
    assert.deepEqual(resolver.counters, { lookups: 1, failures: 0, cancelled: 1, rejected: 0 });
    assert.equal(resolver.entries, 0);
    assert.equal(resolver.inFlight, 0);
    assert.equal(time.pending, 0);
  });

  test('gives its last good addresses to a new watcher when the lookup fails', async () => {
    const { time, lookup, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    first.close();
    await time.pass(60_000);
    const second = watch('a.test');
    await time.pass(499);
    assert.deepEqual(second.heard, []);
    lookup.fail('a.test', 'ESERVFAIL');
    assert.deepEqual(second.heard, ['10.0.0.1']);
    second.close();
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1'], 'at once, since the failure is known');
  });

  test('gives them after a moment if the lookup is slow, and the next ones do not wait', async () => {
    const { time, lookup, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    first.close();
    await time.pass(60_000);
    const second = watch('a.test');
    await time.pass(500);
    assert.deepEqual(second.heard, ['10.0.0.1']);
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
    lookup.answer('a.test', two);
    assert.deepEqual(second.heard, ['10.0.0.1', '10.0.0.2']);
  });

  test('whose slow lookup was given up counts as failed, so that not every request waits', async () => {
    const { time, lookup, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    first.close();
    await time.pass(60_000);
    const second = watch('a.test');
    await time.pass(600);
    second.close();
    assert.deepEqual(lookup.asked, []);
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
    await time.pass(1000);
    assert.deepEqual(lookup.asked, ['a.test'], 'it is tried again after the pause');
  });

  test('that lost its watchers during a refresh has not failed', async () => {
    const { time, lookup, resolver, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    await time.pass(10_100);
    first.close();
    assert.equal(resolver.describe('a.test')?.problem, null);
    assert.deepEqual(lookup.log, ['a.test', 'a.test', '!a.test']);
  });

  test('keeps its last good addresses for ten minutes', async () => {
    const { time, lookup, watch } = setUp();
    const first = watch('a.test');
    await time.pass(0);
    lookup.answer('a.test', one);
    first.close();
    await time.pass(600_000);
    const second = watch('a.test');
    await time.pass(400);
    lookup.fail('a.test', 'ETIMEOUT');
    assert.deepEqual(second.heard, ['ETIMEOUT']);
  });
});
