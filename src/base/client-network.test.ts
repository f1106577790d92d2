import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf } from './client-network.ts';

test('a client counts by its IPv4 address, or the /64 of its IPv6 address', () => {
  const same: readonly (readonly [network: string, ...addresses: string[]])[] = [
    ['10.0.0.1', '10.0.0.1', '::ffff:10.0.0.1', '::FFFF:10.0.0.1'],
    ['2001:db8:0:1', '2001:db8:0:1::', '2001:DB8::1:0:0:0:1', '2001:0db8:0000:0001:ffff:1:2:3', '2001:db8:0:1::9%eth0'],
    ['0:0:0:0', '::1', '::'],
    ['fe80:0:0:0', 'fe80::1%eth0', 'fe80::2'],
    ['unix', 'unix'],
  ];
  for (const [network, ...addresses] of same) {
    for (const address of addresses) assert.equal(networkOf(address), network, address);
  }
  for (const odd of [':', ':::', '1:2:3:4:5:6:7:8:9:a', '::1::2']) assert.equal(typeof networkOf(odd), 'string');
});
