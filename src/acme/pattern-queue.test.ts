import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PatternQueue } from './pattern-queue.ts';

describe('a queue of patterns', () => {
  let began: string[];
  let done: string[];
  let problems: string[];
  let works: Map<string, PromiseWithResolvers<string>>;
  let queue: PatternQueue<string>;

  beforeEach(() => {
    [began, done, problems, works] = [[], [], [], new Map()];
    queue = new PatternQueue({
      atOnceMax: 8,
      work(pattern) {
        began.push(pattern);
        const work = Promise.withResolvers<string>();
        works.set(pattern, work);
        return work.promise;
      },
      onDone: (pattern, outcome) => void done.push(`${pattern} ${outcome}`),
      onProblem: (pattern, { message }) => void problems.push(`${pattern}: ${message}`),
    });
  });

  test('works on some at a time, and on each once', async () => {
    for (let i = 0; i < 10; i++) queue.add(`${i}.example`);
    queue.add('9.example');
    assert.equal(began.length, 8);
    assert.equal(queue.size, 10);
    works.get('0.example')?.resolve('well');
    await turn();
    assert.deepEqual(began.slice(8), ['8.example']);
    assert.deepEqual(done, ['0.example well']);
    for (let i = 1; i < 9; i++) works.get(`${i}.example`)?.resolve('well');
    await turn();
    assert.deepEqual(began.slice(9), ['9.example']);
    works.get('9.example')?.resolve('well');
    await queue.close();
    assert.equal(done.length, 10);
    queue.add('late.example');
    assert.equal(began.length, 10);
  });

  test('works again on one that was asked for meanwhile', async () => {
    queue.add('a.example');
    queue.add('a.example');
    await turn();
    assert.deepEqual(began, ['a.example']);
    works.get('a.example')?.resolve('well');
    await turn();
    assert.deepEqual(began, ['a.example', 'a.example']);
    works.get('a.example')?.resolve('well');
    await queue.close();
  });

  test('reports what fails, and goes on', async () => {
    for (const pattern of ['a.example', 'b.example']) queue.add(pattern);
    works.get('a.example')?.reject(new Error('lost'));
    works.get('b.example')?.resolve('well');
    await queue.close();
    assert.deepEqual(problems, ['a.example: lost']);
    assert.deepEqual(done.toSorted(), ['a.example null', 'b.example well']);
  });
});
