import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backendKey, responsibleFor } from './rendezvous.ts';

const instances = ['web1-0a1b2c3d', 'web2-99aabbcc', 'web3-01020304', 'web4-deadbeef'];
const keys = Array.from({ length: 4000 }, (_, i) =>
  backendKey(`h${i % 500}.example`, `http://10.0.${i >> 8}.${i % 256}`),
);

describe('the instance that is responsible for a backend', () => {
  test('does not depend on the order in which instances are known', () => {
    for (const key of keys) assert.equal(responsibleFor(key, instances), responsibleFor(key, instances.toReversed()));
  });

  test('is each of them for about the same number', () => {
    for (const instance of instances) {
      const share = keys.filter((key) => responsibleFor(key, instances) === instance).length / keys.length;
      assert.ok(share > 0.2 && share < 0.3, `${instance}: ${share}`);
    }
  });

  test('stays when another one leaves or comes', () => {
    for (const gone of instances) {
      const others = instances.filter((instance) => instance !== gone);
      const moved = keys.filter((key) => responsibleFor(key, instances) !== responsibleFor(key, others));
      assert.deepEqual(new Set(moved.map((key) => responsibleFor(key, instances))), new Set([gone]));
      assert.deepEqual(new Set(moved.map((key) => responsibleFor(key, others))), new Set(others));
    }
  });
});
