import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUserRefused, redisError } from './errors.ts';

test('what a server quotes of a command is not passed on: it may be a password', () => {
  const quoted = new Error("ERR unknown command 'AUTH', with args beginning with: 'bob' 's3cret' ");
  const { message } = redisError(quoted, 'redis://bob:********@h');
  assert.equal(message, "redis://bob:********@h: ERR unknown command 'AUTH'");
});

test('a refused user is distinguished from a refused password, also of a server before Redis 6', () => {
  assert.equal(isUserRefused(new Error('WRONGPASS invalid username-password pair or user is disabled.')), true);
  assert.equal(isUserRefused(new Error("ERR wrong number of arguments for 'auth' command")), true);
  assert.equal(isUserRefused(new Error('ERR invalid password')), false);
  assert.equal(isUserRefused(new Error('NOAUTH Authentication required.')), false);
});
