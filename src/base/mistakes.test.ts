import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HipacheError } from './errors.ts';
import { Mistakes, mistakesOf } from './mistakes.ts';

const one = new HipacheError('PRIVILEGES', 'one');
const two = new HipacheError('LISTEN_FAILED', 'two');

function fail(error: unknown): never {
  throw error;
}

test('no mistake is none, one is itself, several are told together', async () => {
  const mistakes = new Mistakes();
  assert.equal(await mistakes.take(() => 'given'), 'given');
  mistakes.check();
  assert.equal(await mistakes.take(() => fail(one)), null);
  assert.throws(() => mistakes.check(), one);
  const more = new Mistakes();
  more.add(two);
  more.add(one);
  await mistakes.take(() => more.check());
  assert.throws(
    () => mistakes.check(),
    (error: AggregateError) => {
      assert.deepEqual(mistakesOf(error), [one, two, one]);
      assert.equal(error.message, 'one; two; one');
      return true;
    },
  );
});

test('what is no operating error is not kept', async () => {
  const defect = new TypeError('defect');
  await assert.rejects(
    new Mistakes().take(() => fail(defect)),
    defect,
  );
  assert.equal(mistakesOf(defect), null);
  assert.equal(mistakesOf(new AggregateError([one, defect])), null);
});
