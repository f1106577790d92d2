import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CheckSlots } from './check-slots.ts';

interface Begun {
  readonly leave: () => void;
  readonly end: () => void;
}

let slots: CheckSlots;
let begun: Map<string, Begun>;

function take(pattern: string, name: string, isSlow = false): () => void {
  return slots.take(pattern, isSlow, (leave) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    begun.set(name, { leave, end: resolve });
    return promise;
  });
}

async function end(name: string): Promise<void> {
  begun.get(name)?.end();
  begun.delete(name);
  await turn();
}

const running = (): string[] => [...begun.keys()];

beforeEach(() => {
  slots = new CheckSlots({ fast: 2, slow: 1, total: 5 });
  begun = new Map();
});

describe('the slots of checks', () => {
  test('are given to the patterns in turn', async () => {
    for (const name of ['a1', 'a2', 'a3', 'a4']) take('a.com', name);
    take('b.com', 'b1');
    assert.deepEqual(running(), ['a1', 'a2']);
    await end('a1');
    assert.deepEqual(running(), ['a2', 'a3']);
    await end('a2');
    assert.deepEqual(running(), ['a3', 'b1']);
    await end('a3');
    assert.deepEqual(running(), ['b1', 'a4']);
  });

  test('are not given to a check that was taken back', async () => {
    take('a.com', 'a1');
    take('a.com', 'a2');
    const cancel = take('a.com', 'a3');
    take('a.com', 'a4');
    cancel();
    await end('a1');
    assert.deepEqual(running(), ['a2', 'a4']);
  });

  test('are left by a check that turns out to be slow, and then no known slow one begins', async () => {
    for (const name of ['a1', 'a2', 'a3']) take('a.com', name);
    begun.get('a1')?.leave();
    assert.deepEqual(running(), ['a1', 'a2', 'a3']);
    take('a.com', 'slow', true);
    assert.deepEqual(running(), ['a1', 'a2', 'a3']);
    await end('a1');
    assert.deepEqual(running(), ['a2', 'a3', 'slow']);
    begun.get('slow')?.leave();
    take('a.com', 'a4');
    assert.deepEqual(running(), ['a2', 'a3', 'slow'], 'it has left no fast slot');
  });

  test('are left only while the total is not reached, and as soon as it is not', async () => {
    for (let i = 1; i <= 8; i++) take('a.com', `a${i}`);
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) begun.get(name)?.leave();
    assert.deepEqual(running(), ['a1', 'a2', 'a3', 'a4', 'a5']);
    await end('a1');
    assert.deepEqual(running(), ['a2', 'a3', 'a4', 'a5', 'a6']);
    await end('a5');
    assert.deepEqual(running(), ['a2', 'a3', 'a4', 'a6', 'a7']);
    await end('a6');
    assert.deepEqual(running(), ['a2', 'a3', 'a4', 'a7', 'a8']);
  });
});
