import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isListenAddress, isNameServer } from './addresses.ts';

test('listen addresses are IP addresses and host names', () => {
  for (const good of ['127.0.0.1', '0.0.0.0', '::', 'fe80::1%eth0', 'localhost', 'web-1.example.com']) {
    assert.ok(isListenAddress(good), good);
  }
  for (const bad of ['', '*', '[::1]', '300.1.1.1', '1.2.3', 'a b', '-a', 'a..b', 'http://a', 'a:80', 'x'.repeat(64)]) {
    assert.ok(!isListenAddress(bad), bad);
  }
});

test('name servers are IP addresses, with or without a port', () => {
  for (const good of ['10.0.0.1', '::1', 'fe80::1%eth0', '10.0.0.1:53', '[::1]:5353', '10.0.0.1:65535']) {
    assert.ok(isNameServer(good), good);
  }
  for (const bad of ['', 'localhost', '10.0.0.1:0', '10.0.0.1:65536', '10.0.0.1:', '[::1]', '[10.0.0.1]:53', ':53']) {
    assert.ok(!isNameServer(bad), bad);
  }
});
