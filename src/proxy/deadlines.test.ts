import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadlines, type Timed } from './deadlines.ts';

describe('deadlines', () => {
  let events: string[] = [];

  const timed = (name: string, deadlineMs: number, error: Error | null = null): Timed => ({
    deadlineMs,
    deadlineSlot: -1,
    onDeadline(nowMs) {
      events.push(`${name} at ${nowMs}`);
      if (error !== null) throw error;
      this.deadlineMs = Number.POSITIVE_INFINITY;
    },
    destroy: () => void events.push(`end ${name}`),
  });

  test('are called once they are due, and not before', () => {
    events = [];
    const deadlines = new Deadlines(0);
    for (const [name, atMs] of [
      ['a', 10],
      ['b', 20],
      ['c', 11],
    ] as const)
      deadlines.add(timed(name, atMs));
    deadlines.tick(9, assert.fail);
    assert.deepEqual(events, []);
    deadlines.tick(11, assert.fail);
    assert.deepEqual(events, ['c at 11', 'a at 11']);
    deadlines.tick(20, assert.fail);
    assert.deepEqual(events.slice(2), ['b at 20']);
  });

  test('one that throws is reported and ended, and the others are called', () => {
    events = [];
    const deadlines = new Deadlines(0);
    const errors: string[] = [];
    const note = (error: Error) => void errors.push(error.message);
    deadlines.add(timed('a', 10));
    deadlines.add(timed('b', 10, new Error('broken')));
    deadlines.add(timed('c', 10));
    deadlines.tick(10, note);
    assert.deepEqual(events, ['c at 10', 'b at 10', 'end b', 'a at 10']);
    deadlines.tick(20, note);
    assert.deepEqual(errors, ['broken']);
    assert.equal(deadlines.size, 2);
  });

  test('one that cannot even be ended is reported twice, then forgotten', () => {
    const deadlines = new Deadlines(0);
    const errors: string[] = [];
    const broken = timed('a', 10, new Error('first'));
    broken.destroy = () => {
      throw new Error('second');
    };
    deadlines.add(broken);
    deadlines.tick(10, (error) => void errors.push(error.message));
    assert.deepEqual(errors, ['first', 'second']);
    assert.equal(deadlines.size, 0);
  });
});
