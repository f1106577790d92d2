import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteChange } from './contract.ts';
import { changeRecord, identitiesOf, isWritten, type OldRecord, removeFromRecord } from './record-edit.ts';
import { recordVersion } from './record-version.ts';

/** The record of `p` after a change. */
function after(change: Omit<RouteChange, 'pattern'>, old: OldRecord): readonly unknown[] | null {
  return changeRecord({ pattern: 'p', ...change }, old).after;
}

test('set keeps the identifier of the record where it is given none', () => {
  const urls = ['u'];
  assert.deepEqual(after({ kind: 'set', urls }, null), ['p', 'u']);
  assert.deepEqual(after({ kind: 'set', urls, id: null }, ['old', 'x']), ['old', 'u']);
  assert.deepEqual(after({ kind: 'set', urls }, [7, 'x']), ['p', 'u']);
  assert.deepEqual(after({ kind: 'set', urls }, 'unreadable'), ['p', 'u']);
  assert.deepEqual(after({ kind: 'set', urls: [], id: '' }, ['old', 'x']), ['']);
});

test('add carries along what is in the record already, repeated or odd', () => {
  assert.deepEqual(after({ kind: 'add', urls: ['http://a', 'http://b'] }, ['id', 'http://a', 'http://a', 7]), [
    'id',
    'http://a',
    'http://a',
    7,
    'http://b',
  ]);
  assert.deepEqual(after({ kind: 'add', urls: ['http://a'] }, []), ['p', 'http://a']);
  assert.deepEqual(after({ kind: 'add', urls: ['http://a', 'http://a#weight=2'] }, null), ['p', 'http://a#weight=2']);
});

test('add changes the settings that it is given, and keeps the others', () => {
  const old = ['id', 'https://a#weight=2&servername=a.test', 'http://b'];
  const urls = ['https://a#weight=3', 'http://b#weight=1'];
  assert.deepEqual(after({ kind: 'add', urls }, old), ['id', 'https://a#weight=3&servername=a.test', 'http://b']);
});

test('add makes a backend a backup, and keeps that it is one', () => {
  const old = ['id', 'http://a#weight=2', 'http://b#backup', 'http://c#backup&weight=3'];
  const urls = ['http://a#backup', 'http://b', 'http://c#weight=4'];
  const changed = ['id', 'http://a#weight=2&backup', 'http://b#backup', 'http://c#backup&weight=4'];
  assert.deepEqual(after({ kind: 'add', urls }, old), changed);
  assert.deepEqual(after({ kind: 'add', urls: ['http://a#backup'] }, changed), changed);
  const drains = after({ kind: 'add', urls: ['http://b#drain=5'] }, changed) ?? [];
  assert.equal(drains[2], 'http://b#backup&drain=5');
  assert.equal(after({ kind: 'add', urls: ['http://b'] }, drains)?.[2], 'http://b#backup');
  const canaries = ['id', 'http://a', 'http://b#weight=2&canary=5'];
  assert.deepEqual(after({ kind: 'add', urls: ['http://b', 'http://b#canary=5'] }, canaries), canaries);
  const larger = ['id', 'http://a#canary=20', 'http://b#weight=2&canary=20'];
  assert.deepEqual(after({ kind: 'add', urls: ['http://a#canary=20', 'http://b#canary=20'] }, canaries), larger);
  const draining = after({ kind: 'add', urls: ['http://b#drain=5'] }, canaries);
  assert.equal(draining?.[2], 'http://b#weight=2&canary=5&drain=5');
  assert.deepEqual(after({ kind: 'add', urls: ['http://b'] }, draining ?? null), canaries);
  assert.deepEqual(after({ kind: 'set', urls: ['http://a', 'http://b'] }, canaries), ['id', 'http://a', 'http://b']);
});

test('add makes a backend drain, and gives one that drains requests again', () => {
  const old = ['id', 'http://a#weight=2', 'http://b#drain=5'];
  assert.deepEqual(after({ kind: 'add', urls: ['http://a#drain=7', 'http://b'] }, old), [
    'id',
    'http://a#weight=2&drain=7',
    'http://b',
  ]);
});

test('a change without an effect is not written, unless it sets the record', () => {
  const old = ['p', 'http://a'];
  const written = (kind: RouteChange['kind'], url: string): boolean => {
    const change = { kind, pattern: 'p', urls: [url] };
    return isWritten(change, changeRecord(change, old));
  };
  assert.equal(written('add', 'http://a'), false);
  assert.equal(written('remove', 'http://b'), false);
  assert.equal(written('set', 'http://a'), true);
});

test('a change needs the version that it names: a digest of the content', () => {
  assert.equal(recordVersion(null), 'none');
  assert.match(recordVersion(['p', 'http://a']), /^[0-9a-f]{16}$/);
  assert.equal(recordVersion(['p', 'http://a']), recordVersion(['p', 'http://a']));
  assert.notEqual(recordVersion(['p', 'http://a']), recordVersion(['p', 'http://a', 'http://a']));
  const change = { kind: 'set', urls: ['u'], ifVersion: recordVersion(['p']) } as const;
  assert.deepEqual(after(change, ['p']), ['p', 'u']);
  for (const old of [null, ['q'], 'unreadable'] as const) {
    assert.throws(() => after(change, old), { code: 'CONFLICT', message: /^p: the change requires / });
  }
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
