import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearestWord } from './nearest.ts';

test('the distance counts inserted, removed, replaced and swapped letters', () => {
  assert.equal(editDistance('port', 'port'), 0);
  assert.equal(editDistance('prot', 'port'), 1);
  assert.equal(editDistance('', 'port'), 4);
  assert.equal(editDistance('tcpTimout', 'tcpTimeout'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
});

test('the nearest word is found, unless all are too far', () => {
  const words = ['port', 'bind', 'maxSockets'];
  assert.equal(nearestWord('maxsocket', words), 'maxSockets');
  assert.equal(nearestWord('bnid', words), 'bind');
  assert.equal(nearestWord('banana', words), null);
  assert.equal(nearestWord('x', words), null);
});
