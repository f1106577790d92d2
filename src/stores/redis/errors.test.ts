import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisError } from './errors.ts';

test('what a server quotes of a command is not passed on: it may be a password', () => {
  const quoted = new Error("ERR unknown command 'AUTH', with args beginning with: 'bob' 's3cret' ");
  const { message } = redisError(quoted, 'redis://bob:********@h');
  assert.equal(message, "redis://bob:********@h: ERR unknown command 'AUTH'");
});
