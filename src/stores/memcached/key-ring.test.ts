import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyRing } from './key-ring.ts';

test('keys are on the servers on which the client of Hipache 0.4 puts them', () => {
  const ring = new KeyRing([
    { host: '10.0.1.1', port: 11_211 },
    { host: '10.0.1.2', port: 11_212 },
    { host: '10.0.1.3', port: 11_211 },
  ]);
  // Made with the npm package memcached 2.2.2, ketama.
  const placed = '1133212221313312211233232111212333123232323133313321231331222133';
  const own = Array.from({ length: placed.length }, (_, i) => ring.serverOf(`frontend:host${i}`) + 1);
  assert.equal(own.join(''), placed);
});

test('one server has every key', () => {
  assert.equal(new KeyRing([{ host: 'a', port: 1 }]).serverOf('x'), 0);
});
