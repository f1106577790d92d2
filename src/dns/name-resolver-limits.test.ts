import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeLookup } from '../../test/helpers/fake-lookup.ts';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { type NameLimits, NameResolver } from './name-resolver.ts';

function setUp(limits: Partial<NameLimits>) {
  const time = new FakeTime();
  const lookup = new FakeLookup();
  const ignore = () => {};
  const resolver = new NameResolver({
    lookup,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    onInternalError: (error) => {
      throw error;
    },
    limits,
    clock: time.clock,
    setTimer: time.setTimer,
  });
  const watch = (name: string) => {
    const heard: string[] = [];
    const watching = resolver.watch(name, {
      onAddresses: (addresses) => void heard.push(addresses.join(' ')),
      onFailed: ({ code }) => void heard.push(code),
    });
    return { heard, close: () => watching.close() };
  };
  return { time, lookup, resolver, watch };
}

describe('lookups', () => {
  test('beyond the bound wait in their order, and leave when nobody watches', async () => {
    const { time, lookup, resolver, watch } = setUp({ lookupsMax: 2, waitingMax: 3 });
    const [first, , third] = ['1', '2', '3', '4', '5'].map(watch);
    await time.pass(0);
    assert.deepEqual(lookup.asked, ['1', '2']);
    third?.close();
    first?.close();
    assert.deepEqual(lookup.asked, ['2', '4']);
    lookup.answer('2', ['10.0.0.2']);
    assert.deepEqual(lookup.asked, ['4', '5']);
    assert.equal(resolver.inFlight, 2);
    assert.deepEqual(resolver.counters, { lookups: 4, failures: 0, cancelled: 1, rejected: 0 });
  });

  test('beyond the queue fail as OVERLOADED, and are tried again', async () => {
    const { time, lookup, resolver, watch } = setUp({ lookupsMax: 1, waitingMax: 1 });
    const [, , third] = ['1', '2', '3'].map(watch);
    await time.pass(0);
    assert.deepEqual(third?.heard, ['OVERLOADED']);
    assert.equal(resolver.counters.rejected, 1);
    lookup.answer('1', ['10.0.0.1']);
    lookup.answer('2', ['10.0.0.2']);
    await time.pass(1000);
    lookup.answer('3', ['10.0.0.3']);
    assert.deepEqual(third?.heard, ['OVERLOADED', '10.0.0.3']);
  });

  test('of names that time out never take the slots and the queue of the others', async () => {
    const { time, lookup, watch } = setUp({ lookupsMax: 8, waitingMax: 8 });
    const dead = Array.from({ length: 16 }, (_, index) => watch(`dead-${index}`));
    await time.pass(0);
    for (let i = 0; i < 16; i++) lookup.fail(`dead-${i}`, 'ETIMEOUT');
    assert.deepEqual(dead[15]?.heard, ['ETIMEOUT']);
    await time.pass(1000);
    assert.equal(lookup.asked.length, 2, 'a quarter of the slots');
    const good = Array.from({ length: 12 }, (_, index) => watch(`good-${index}`));
    await time.pass(0);
    assert.equal(lookup.asked.length, 8);
    for (let i = 0; i < 12; i++) lookup.answer(`good-${i}`, ['10.0.0.1']);
    assert.ok(good.every(({ heard }) => heard.join() === '10.0.0.1'));
    assert.equal(lookup.asked.length, 2);
  });
});

describe('entries', () => {
  test('without watchers leave in the order in which they were used last, those with watchers never', async () => {
    const { time, lookup, resolver, watch } = setUp({ entriesMax: 3 });
    const [a, b] = ['a', 'b', 'c'].map(watch);
    await time.pass(0);
    for (const name of ['a', 'b', 'c']) lookup.answer(name, ['10.0.0.1']);
    b?.close();
    a?.close();
    watch('b').close();
    watch('d');
    await time.pass(0);
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((name) => resolver.describe(name)?.addresses.join()),
      [undefined, '10.0.0.1', '10.0.0.1', ''],
    );
    assert.equal(resolver.entries, 3);
  });

  test('beyond the bound are refused while all are watched, and get their turn later', async () => {
    const { time, lookup, resolver, watch } = setUp({ entriesMax: 1 });
    const first = watch('a');
    const second = watch('b');
    const third = watch('c');
    assert.deepEqual(second.heard, ['OVERLOADED']);
    third.close();
    await time.pass(1000);
    assert.deepEqual(second.heard, ['OVERLOADED', 'OVERLOADED']);
    first.close();
    await time.pass(1000);
    lookup.answer('b', ['10.0.0.2']);
    assert.deepEqual(second.heard, ['OVERLOADED', 'OVERLOADED', '10.0.0.2']);
    assert.equal(resolver.entries, 1);
  });
});

test('a closed resolver has no lookups and no timers, and calls nobody', async () => {
  const { time, lookup, resolver, watch } = setUp({ lookupsMax: 1, entriesMax: 4 });
  const watches = ['a', 'b', 'c', 'd', 'e'].map(watch);
  await time.pass(0);
  lookup.answer('a', ['10.0.0.1']);
  await time.pass(0);
  resolver.close();
  await time.pass(600_000);
  assert.deepEqual(
    watches.map(({ heard }) => heard.join()),
    ['10.0.0.1', '', '', '', 'OVERLOADED'],
  );
  assert.deepEqual(lookup.asked, []);
  assert.deepEqual(lookup.log, ['a', 'b', '!b']);
  assert.equal(time.pending, 0);
  for (const { close } of watches) close();
  assert.deepEqual(watch('a').heard, ['ECANCELLED']);
});
