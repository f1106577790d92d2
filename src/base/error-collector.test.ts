import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCollector, operatingErrorsOf } from './error-collector.ts';
import { HipacheError } from './errors.ts';

const one = new HipacheError('PRIVILEGES', 'one');
const two = new HipacheError('LISTEN_FAILED', 'two');

function fail(error: unknown): never {
  throw error;
}

test('no error passes, a single one is thrown itself, several are thrown together', async () => {
  const errors = new ErrorCollector();
  assert.equal(await errors.take(() => 'given'), 'given');
  errors.check();
  assert.equal(await errors.take(() => fail(one)), null);
  assert.throws(() => errors.check(), one);
  const more = new ErrorCollector();
  more.add(two);
  more.add(one);
  await errors.take(() => more.check());
  assert.throws(
    () => errors.check(),
    (error: AggregateError) => {
      assert.deepEqual(operatingErrorsOf(error), [one, two, one]);
      assert.equal(error.message, 'one; two; one');
      return true;
    },
  );
});

test('an error that is not an operating error is not collected', async () => {
  const defect = new TypeError('defect');
  await assert.rejects(
    new ErrorCollector().take(() => fail(defect)),
    defect,
  );
  assert.equal(operatingErrorsOf(defect), null);
  assert.equal(operatingErrorsOf(new AggregateError([one, defect])), null);
});
