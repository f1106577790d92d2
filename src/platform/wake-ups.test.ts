import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeFleet, webhook } from './platform.suite.ts';
import { WakeUps } from './wake-ups.ts';

/** Two instances, whose workers both say that requests of a host wait. */
function setUp() {
  const fleet = new FakeFleet();
  const instances = [new WakeUps(fleet.options('one')), new WakeUps(fleet.options('two'))];
  const ask = async (pattern = 'a.test', target: Parameters<WakeUps['asleep']>[1] = webhook): Promise<void> => {
    for (const instance of instances) instance.asleep(pattern, target);
    await fleet.time.pass(0);
  };
  /** Requests wait for a while: the workers say so every five seconds. */
  const wait = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i += 5) {
      await ask();
      await fleet.time.pass(5000);
    }
  };
  return { fleet, instances, ask, wait };
}

test('a host is woken once for the whole fleet', async () => {
  const { fleet, ask } = setUp();
  await ask();
  await ask();
  await ask('b.test');
  assert.deepEqual(
    fleet.sent.map(({ event, host, instance }) => `${event} ${host} ${instance}`),
    ['wake a.test one', 'wake b.test one'],
  );
});

test('a host that sleeps on is woken again, not sooner than it could have started', async () => {
  const { fleet, wait } = setUp();
  await wait(25);
  assert.equal(fleet.sent.length, 1);
  await wait(20);
  assert.equal(fleet.sent.length, 2);
});

test('a host that was awake meanwhile is woken at once when it sleeps again', async () => {
  const { fleet, instances, ask } = setUp();
  await ask();
  for (const instance of instances) instance.awake('a.test');
  await ask();
  assert.equal(fleet.sent.length, 1, 'other workers may not have seen it yet');
  await fleet.time.pass(2001);
  await ask();
  assert.equal(fleet.sent.length, 2);
});

test('a webhook that fails for an hour is tried with growing pauses, by one instance, as long as requests wait', async () => {
  const { fleet, wait } = setUp();
  fleet.isFailing = true;
  await wait(3600);
  assert.ok(fleet.attempts > 80 && fleet.attempts < 200, `${fleet.attempts} attempts`);
  assert.deepEqual([...fleet.attemptedBy], ['one']);
  fleet.isFailing = false;
  await wait(60);
  assert.ok(fleet.sent.length >= 1);
  assert.deepEqual([...fleet.attemptedBy], ['one']);
});

test('nobody is woken for requests that do not wait any more', async () => {
  const { fleet, ask } = setUp();
  fleet.isFailing = true;
  await ask();
  await fleet.time.pass(60_000);
  const { attempts } = fleet;
  assert.ok(attempts > 1);
  await fleet.time.pass(3_600_000);
  assert.equal(fleet.attempts, attempts);
  fleet.isFailing = false;
  await ask();
  assert.equal(fleet.sent.length, 1, 'the next ones are');
});

test('an event is a note that is announced, and no webhook is asked', async () => {
  const { fleet, ask } = setUp();
  await ask('a.test', { kind: 'event' });
  assert.deepEqual(
    fleet.notes.announced.map((text) => JSON.parse(text).host),
    ['a.test'],
  );
  assert.equal(fleet.attempts, 0);
});

test('a host is woken although the store is away', async () => {
  const { fleet, ask } = setUp();
  fleet.notes.isAway = true;
  await ask();
  assert.deepEqual(
    fleet.sent.map(({ instance }) => instance),
    ['one', 'two'],
  );
});

test('more hosts than an instance can have are counted', async () => {
  const fleet = new FakeFleet();
  const options = fleet.options('one');
  const wakeUps = new WakeUps(options);
  for (let i = 0; i < 10_010; i++) wakeUps.asleep(`${i}.test`, { kind: 'event' });
  assert.deepEqual([wakeUps.size, options.counters.dropped], [10_000, 10]);
  await fleet.time.pass(60_000);
  wakeUps.asleep('next.test', { kind: 'event' });
  assert.equal(options.counters.dropped, 10, 'those that sleep no more leave room');
});
