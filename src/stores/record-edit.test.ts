import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addToRecord, identitiesOf, removeFromRecord, setRecord } from './record-edit.ts';

test('set keeps the identifier of the record where it is given none', () => {
  assert.deepEqual(setRecord(null, 'a.com', null, ['u']), ['a.com', 'u']);
  assert.deepEqual(setRecord(['old', 'x'], 'a.com', null, ['u']), ['old', 'u']);
  assert.deepEqual(setRecord([7, 'x'], 'a.com', null, ['u']), ['a.com', 'u']);
  assert.deepEqual(setRecord(['old', 'x'], 'a.com', '', []), ['']);
});

test('add carries along what is in the record already, repeated or odd', () => {
  assert.deepEqual(addToRecord(['id', 'http://a', 'http://a', 7], 'p', ['http://a', 'http://b']), [
    'id',
    'http://a',
    'http://a',
    7,
    'http://b',
  ]);
  assert.deepEqual(addToRecord([], 'p', ['http://a']), ['p', 'http://a']);
  assert.deepEqual(addToRecord(null, 'p', ['http://a', 'http://a#weight=2']), ['p', 'http://a#weight=2']);
});

test('remove finds a URL whatever its weight, and leaves what is odd', () => {
  assert.deepEqual(removeFromRecord(['id', 'http://a#weight=2', 7, 'http://b'], ['http://a#weight=5']), {
    remaining: ['id', 7, 'http://b'],
    removed: ['http://a#weight=2'],
  });
  assert.deepEqual(removeFromRecord(['id', 'http://a'], []), { remaining: null, removed: ['http://a'] });
});

test('the identities of a record are its URLs without weights', () => {
  assert.deepEqual(identitiesOf(['id', 'http://a#weight=2', 7, 'x']), new Set(['http://a', 'x']));
});
