import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Refusal } from '../policy/admission.ts';
import { RefusalQueue } from './refusal-queue.ts';

const refusal: Refusal = { code: 'RATE_LIMITED', status: 429, detail: '', fields: null };

class Refused {
  ended = false;
  readonly errors: string[] = [];
  private readonly fault: string | null;

  constructor(fault: string | null = null) {
    this.fault = fault;
  }

  giveUp(): void {
    this.ended = true;
    if (this.fault !== null) throw new Error(this.fault);
  }

  onInternalError(error: Error): void {
    this.errors.push(error.message);
  }
}

describe('a queue of refusals', () => {
  test('sends a few in each turn, and none at once', async () => {
    const queue = new RefusalQueue();
    const all = Array.from({ length: 20 }, () => new Refused());
    for (const one of all) queue.add(one, refusal);
    const sent: number[] = [];
    for (let i = 0; i < 10; i++) {
      sent.push(all.filter(({ ended }) => ended).length);
      await turn();
    }
    assert.deepEqual(sent, [0, 3, 6, 8, 10, 12, 14, 16, 18, 20]);
  });

  test('is empty after few turns, however many there were', async () => {
    const queue = new RefusalQueue();
    const all = Array.from({ length: 10_000 }, () => new Refused());
    for (const one of all) queue.add(one, refusal);
    let turns = 0;
    for (; all.some(({ ended }) => !ended) && turns < 200; turns++) await turn();
    assert.ok(turns > 10 && turns < 100, String(turns));
  });

  test('leaves out those whose clients have gone, and goes on after a fault', async () => {
    const queue = new RefusalQueue();
    const [gone, faulty, last] = [new Refused('not to be called'), new Refused('broken'), new Refused()];
    gone.ended = true;
    for (const one of [gone, faulty, last]) queue.add(one, refusal);
    for (let i = 0; i < 100 && !last.ended; i++) await turn();
    assert.deepEqual([gone.errors, faulty.errors, last.ended], [[], ['broken'], true]);
  });

  test('takes further ones while it sends', async () => {
    const queue = new RefusalQueue();
    const second = new Refused();
    const first = new Refused();
    first.giveUp = () => {
      first.ended = true;
      queue.add(second, refusal);
    };
    queue.add(first, refusal);
    for (let i = 0; i < 100 && !second.ended; i++) await turn();
    assert.equal(second.ended, true);
  });
});
