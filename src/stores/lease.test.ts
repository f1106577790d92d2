import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { NoteCondition, NoteTexts } from './contract.ts';
import { Lease, type LeaseOptions } from './lease.ts';

/** Notes in memory, whose clock is that of the test. */
class Notes implements NoteTexts {
  readonly time: FakeTime;
  isAway = false;
  private readonly notes = new Map<string, { text: string; untilMs: number }>();

  constructor(time: FakeTime) {
    this.time = time;
  }

  async read(name: string): Promise<string | null> {
    const note = this.notes.get(name);
    return note === undefined || note.untilMs < this.time.clock.epochMs() ? null : note.text;
  }

  async write(name: string, text: string | null, { expected, ttlMs }: NoteCondition = {}): Promise<boolean> {
    if (this.isAway) throw new Error('away');
    if (expected !== undefined && (await this.read(name)) !== expected) return false;
    if (text === null) this.notes.delete(name);
    else this.notes.set(name, { text, untilMs: this.time.clock.epochMs() + (ttlMs ?? Number.POSITIVE_INFINITY) });
    return true;
  }
}

function setUp() {
  const time = new FakeTime();
  const notes = new Notes(time);
  const lost: string[] = [];
  const optionsOf = (holder: string): LeaseOptions => ({
    ...{ notes, name: 'work', holder, setTimer: time.setTimer },
    onLost: (error) => void lost.push(`${holder}: ${error.message}`),
  });
  return { time, notes, lost, optionsOf };
}

test('one holder at a time has a lease, and the next one gets it when it is released', async () => {
  const { optionsOf } = setUp();
  const first = await Lease.acquire(optionsOf('one'));
  assert.ok(first instanceof Lease);
  assert.equal(await Lease.acquire(optionsOf('two')), 'one');
  await first.release();
  await first.release();
  const second = await Lease.acquire(optionsOf('two'));
  assert.ok(second instanceof Lease);
  await second.release();
});

test('a store that refuses a lease and shows no holder is not asked without end', async () => {
  const { notes, optionsOf } = setUp();
  let writes = 0;
  notes.write = async () => ++writes < 0;
  assert.equal(await Lease.acquire(optionsOf('one')), 'unknown');
  assert.equal(writes, 4);
});

test('a lease is renewed as long as its holder lives, and ends soon after it', async () => {
  const { notes, optionsOf, time, lost } = setUp();
  const first = await Lease.acquire(optionsOf('one'));
  assert.ok(first instanceof Lease);
  for (let i = 0; i < 10; i++) await time.pass(5000);
  assert.equal(await Lease.acquire(optionsOf('two')), 'one');
  // The holder is gone: nobody renews it.
  notes.isAway = true;
  await time.pass(5000);
  notes.isAway = false;
  await time.pass(10_000);
  assert.deepEqual(lost, [], 'a store that comes back in time');
  notes.isAway = true;
  await time.pass(15_000);
  assert.deepEqual(lost, ['one: away']);
  notes.isAway = false;
  await time.pass(16_000);
  const second = await Lease.acquire(optionsOf('two'));
  assert.ok(second instanceof Lease);
  await second.release();
});

test('a holder whose lease has passed to another one hears of it, and takes nothing back', async () => {
  const { notes, optionsOf, time, lost } = setUp();
  const first = await Lease.acquire(optionsOf('one'));
  assert.ok(first instanceof Lease);
  await notes.write('lease:work', 'two');
  await time.pass(5000);
  assert.deepEqual(lost, ['one: the lease work has ended']);
  await first.release();
  assert.equal(await notes.read('lease:work'), 'two');
});
