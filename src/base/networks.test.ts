import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Networks, readNetwork } from './networks.ts';

test('the prefix of a network fits its address family', () => {
  for (const good of ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/128']) {
    assert.notEqual(readNetwork(good), null, good);
  }
  for (const bad of [
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    'localhost',
    'fe80::1%e/64',
  ]) {
    assert.equal(readNetwork(bad), null, bad);
  }
});

test('an address is in a network of its family, also in its mapped form', () => {
  const networks = Networks.read(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'nonsense']);
  for (const inside of ['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:192.0.2.1', '2001:db8::5']) {
    assert.ok(networks.has(inside), inside);
  }
  for (const outside of ['11.0.0.1', '192.0.2.2', '2001:db9::1', '::1', '', 'unix', '::ffff:x.y']) {
    assert.ok(!networks.has(outside), outside);
  }
});
