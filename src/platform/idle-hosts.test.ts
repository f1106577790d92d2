import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleHosts } from './idle-hosts.ts';
import { FakeFleet, webhook } from './platform.suite.ts';

function setUp() {
  const fleet = new FakeFleet();
  const [one, two] = [new IdleHosts(fleet.options('one')), new IdleHosts(fleet.options('two'))];
  const use = (by: IdleHosts, idleAfterMs = 60_000): void =>
    by.used([{ pattern: 'a.test', idleAfterMs, target: webhook }]);
  const events = (): string[] => fleet.sent.map(({ event, host }) => `${event} ${host}`);
  return { fleet, one, two, use, events };
}

test('a host that nobody uses for so long is idle, which one instance says once', async () => {
  const { fleet, one, two, use, events } = setUp();
  use(one);
  use(two);
  await fleet.time.pass(59_000);
  assert.deepEqual(events(), []);
  await fleet.time.pass(20_000);
  assert.deepEqual(events(), ['idle a.test']);
  await fleet.time.pass(600_000);
  assert.equal(events().length, 1);
  assert.deepEqual([one.size, two.size], [0, 0]);
});

test('a host that any instance uses is not idle', async () => {
  const { fleet, one, two, use, events } = setUp();
  use(one);
  for (let i = 0; i < 200; i++) {
    use(two);
    await fleet.time.pass(1000);
  }
  assert.deepEqual(events(), []);
  // A use of the other one may be a tenth of the time later than its note.
  await fleet.time.pass(67_000);
  assert.deepEqual(events(), ['idle a.test']);
});

test('a host that is used again is idle again after the same time', async () => {
  const { fleet, one, use, events } = setUp();
  one.share(1);
  use(one);
  await fleet.time.pass(61_000);
  use(one);
  await fleet.time.pass(59_000);
  assert.equal(events().length, 1);
  await fleet.time.pass(2000);
  assert.equal(events().length, 2);
});

test('a use is written to the store now and then, not each time', async () => {
  const { fleet, one, use } = setUp();
  let writes = 0;
  const write = fleet.notes.write.bind(fleet.notes);
  fleet.notes.write = async (...args) => {
    writes++;
    return write(...args);
  };
  for (let i = 0; i < 60; i++) {
    use(one);
    await fleet.time.pass(1000);
  }
  assert.ok(writes >= 10 && writes <= 12, `${writes} writes`);
});

test('a webhook that fails is tried again by one instance, which says it once in the end', async () => {
  const { fleet, one, two, use, events } = setUp();
  fleet.isFailing = true;
  use(one);
  use(two);
  await fleet.time.pass(1_800_000);
  assert.ok(fleet.attempts > 20, `${fleet.attempts} attempts`);
  assert.equal(fleet.attemptedBy.size, 1);
  fleet.isFailing = false;
  await fleet.time.pass(600_000);
  assert.deepEqual(events(), ['idle a.test']);
  assert.deepEqual([one.size, two.size], [0, 0]);
});

test('a webhook that fails for an hour is given up, and nothing of the host is kept until the next use', async () => {
  const { fleet, one, two, use, events } = setUp();
  fleet.isFailing = true;
  use(one);
  use(two);
  // The host is idle after a minute.
  await fleet.time.pass(3_600_000);
  assert.deepEqual([one.size, two.size], [1, 1]);
  // The other instance leaves it to the first one for two minutes at a time.
  await fleet.time.pass(600_000);
  assert.deepEqual([one.size, two.size, fleet.time.pending], [0, 0, 0]);
  const { attempts } = fleet;
  fleet.isFailing = false;
  await fleet.time.pass(7_200_000);
  assert.deepEqual([fleet.attempts, events()], [attempts, []]);
  use(one);
  await fleet.time.pass(80_000);
  assert.deepEqual(events(), ['idle a.test']);
});

test('a webhook that fails is tried again, until the host is used', async () => {
  const { fleet, one, use, events } = setUp();
  one.share(1);
  fleet.isFailing = true;
  use(one);
  await fleet.time.pass(180_000);
  assert.ok(fleet.attempts > 3);
  use(one);
  fleet.isFailing = false;
  await fleet.time.pass(59_000);
  assert.deepEqual(events(), []);
  await fleet.time.pass(3000);
  assert.deepEqual(events(), ['idle a.test']);
});

test('while the store is away nobody says that a host is idle: another instance may use it', async () => {
  const { fleet, one, use, events } = setUp();
  use(one);
  fleet.notes.isAway = true;
  await fleet.time.pass(300_000);
  assert.deepEqual(events(), []);
  fleet.notes.isAway = false;
  // The longest pause after a failure.
  await fleet.time.pass(76_000);
  assert.deepEqual(events(), ['idle a.test']);
});

test('a use while the store is asked keeps the host from being idle', async () => {
  const { fleet, one, use, events } = setUp();
  one.share(1);
  use(one);
  const read = fleet.notes.read.bind(fleet.notes);
  fleet.notes.read = async (name) => {
    use(one);
    return read(name);
  };
  await fleet.time.pass(61_000);
  assert.deepEqual(events(), []);
});

for (const failingMs of [70_000, 1_200_000]) {
  test(`an instance that ends ${failingMs / 1000} s later, and was not heard, leaves the word to another one`, async () => {
    const { fleet, one, two, use, events } = setUp();
    fleet.isFailing = true;
    use(one);
    use(two);
    await fleet.time.pass(failingMs);
    assert.deepEqual([...fleet.attemptedBy], ['one']);
    one.close();
    fleet.isFailing = false;
    await fleet.time.pass(250_000);
    assert.deepEqual(events(), ['idle a.test']);
    await fleet.time.pass(600_000);
    assert.equal(two.size, 0);
  });
}
