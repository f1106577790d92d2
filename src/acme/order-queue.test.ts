import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { OrderBudget } from './order-budget.ts';
import { OrderQueue } from './order-queue.ts';
import type { OrderOutcome } from './pattern-order.ts';

const issued: OrderOutcome = { kind: 'issued', notAfterMs: 1 };

describe('the patterns that an instance looks at', () => {
  let began: string[];
  let looked: string[];
  let problems: string[];
  let looks: Map<string, PromiseWithResolvers<OrderOutcome>>;
  let isDue: (pattern: string) => Promise<boolean>;
  let queue: OrderQueue;

  beforeEach(() => {
    [began, looked, problems, looks] = [[], [], [], new Map()];
    isDue = async () => true;
    queue = new OrderQueue({
      orders: {
        look(pattern) {
          began.push(pattern);
          const look = Promise.withResolvers<OrderOutcome>();
          looks.set(pattern, look);
          return look.promise;
        },
      },
      isDue: (pattern) => isDue(pattern),
      onLooked: (pattern, outcome) => void looked.push(`${pattern} ${outcome?.kind ?? 'nothing'}`),
      onProblem: (what, { message }) => void problems.push(`${what}: ${message}`),
    });
  });

  test('are looked at some at a time, and each once', async () => {
    for (let i = 0; i < 10; i++) queue.add(`${i}.example`);
    queue.add('9.example');
    await turn();
    assert.equal(began.length, 8);
    assert.equal(queue.size, 10);
    looks.get('0.example')?.resolve(issued);
    await turn();
    assert.deepEqual(began.slice(8), ['8.example']);
    assert.deepEqual(looked, ['0.example issued']);
    for (let i = 1; i < 9; i++) looks.get(`${i}.example`)?.resolve(issued);
    await turn();
    assert.deepEqual(began.slice(9), ['9.example']);
    looks.get('9.example')?.resolve(issued);
    await queue.close();
    assert.equal(looked.length, 10);
    queue.add('late.example');
    await turn();
    assert.equal(began.length, 10);
  });

  test('are looked at again if that is asked for meanwhile', async () => {
    queue.add('a.example');
    await turn();
    queue.add('a.example');
    await turn();
    assert.deepEqual(began, ['a.example']);
    looks.get('a.example')?.resolve(issued);
    await turn();
    assert.deepEqual(began, ['a.example', 'a.example']);
    looks.get('a.example')?.resolve(issued);
    await queue.close();
  });

  test('without anything to do cost no lease', async () => {
    isDue = async () => false;
    queue.add('a.example');
    await queue.close();
    assert.deepEqual([began, looked], [[], ['a.example nothing']]);
  });

  test('that fail are reported, and do not hold up others', async () => {
    isDue = async (pattern) => {
      if (pattern === 'a.example') throw new Error('the store is away');
      return true;
    };
    for (const pattern of ['a.example', 'b.example']) queue.add(pattern);
    await turn();
    looks.get('b.example')?.reject(new Error('lost'));
    await queue.close();
    const problem = (pattern: string): string => `the certificate of ${pattern} cannot be looked after now`;
    assert.deepEqual(problems, [`${problem('a.example')}: the store is away`, `${problem('b.example')}: lost`]);
    assert.deepEqual(looked, ['a.example nothing', 'b.example nothing']);
  });
});

test('the orders of an hour are counted for all instances', async () => {
  const texts = new Map<string, string>();
  const notes = {
    read: async (name: string) => texts.get(name) ?? null,
    write: async (name: string, text: string | null, { expected }: { expected?: string | null } = {}) => {
      if ((texts.get(name) ?? null) !== expected) return false;
      texts.set(name, text ?? '');
      return true;
    },
  };
  const hour = 3600_000;
  const nowMs = 10 * hour + 1;
  const budgets = [0, 1, 2].map(() => new OrderBudget(notes, 5));
  const taken = await Promise.all([...budgets, ...budgets].map((budget) => budget.take(nowMs)));
  assert.equal(taken.filter((untilMs) => untilMs === null).length, 5);
  assert.equal(await budgets[0]?.take(nowMs), 11 * hour);
  assert.equal(await budgets[0]?.take(11 * hour), null);
});
