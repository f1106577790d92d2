import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drainKey, drainsText, type HostDrain, parseDrains, sumDrains } from './host-drain.ts';

function drain(pattern: string, untilMs: number, inFlight: number): HostDrain {
  return { pattern, untilMs, inFlight, tunnelsEnded: 1, requestsEnded: 2 };
}

describe('drains of hosts', () => {
  test('differ by their route or their end', () => {
    assert.equal(drainKey(drain('a', 1, 0)), drainKey(drain('a', 1, 5)));
    assert.notEqual(drainKey(drain('a', 1, 0)), drainKey(drain('a', 2, 0)));
    assert.notEqual(drainKey(drain('a', 1, 0)), drainKey(drain('b', 1, 0)));
  });

  test('of several processes are summed', () => {
    assert.deepEqual(sumDrains([drain('a', 1, 3), drain('b', 1, 1), drain('a', 1, 4), drain('a', 2, 9)]), [
      { pattern: 'a', untilMs: 1, inFlight: 7, tunnelsEnded: 2, requestsEnded: 4 },
      drain('b', 1, 1),
      drain('a', 2, 9),
    ]);
  });

  test('are read as they were written', () => {
    const drains = [drain('a.example/ü "', 1, 3), drain('b', 2, 0)];
    assert.deepEqual(parseDrains(drainsText(drains)), { drains, others: 0 });
    assert.equal(drainsText([]), '');
    assert.deepEqual(parseDrains(''), { drains: [], others: 0 });
  });

  test('are bounded in number: those that are over give way, and the rest is one number', () => {
    const over = Array.from({ length: 50 }, (_, i) => drain(`over${i}`, 1, 0));
    const open = Array.from({ length: 210 }, (_, i) => drain(`open${i}`, 1, 2));
    const read = parseDrains(drainsText([...over, ...open]));
    assert.equal(read?.drains.length, 200);
    assert.ok(read.drains.every(({ pattern }) => pattern.startsWith('open')));
    assert.equal(read.others, 20);
  });

  test('are not read from other texts', () => {
    const wrong = ['0 0 0', '{', 'null', '[]', '{"drains":[{}],"others":0}', '{"drains":[],"others":-1}'];
    for (const text of wrong) assert.equal(parseDrains(text), null, text);
  });
});
