import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisClient } from '@redis/client';
import { newClient } from './client.ts';

test('a client is made without a class of its own, which would take 100 ms', () => {
  const client = newClient({ RESP: 3, socket: { host: '127.0.0.1', port: 1 }, username: 'u', password: 'p' });
  assert.equal(Object.getPrototypeOf(client), RedisClient.prototype);
});
