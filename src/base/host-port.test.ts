import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from './host-port.ts';

test('only IPv6 addresses have brackets', () => {
  assert.equal(hostPort('a.example', 80), 'a.example:80');
  assert.equal(hostPort('127.0.0.1', 8080), '127.0.0.1:8080');
  assert.equal(hostPort('::1', 443), '[::1]:443');
  assert.equal(hostPort('fe80::1%eth0', 443), '[fe80::1%eth0]:443');
});
