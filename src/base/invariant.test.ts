import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantViolation, invariant } from './invariant.ts';

test('a rule that holds does nothing; a violated one names itself', () => {
  invariant(true, 'never seen');
  assert.throws(() => invariant(false, 'two is three'), new InvariantViolation('violated: two is three'));
});
