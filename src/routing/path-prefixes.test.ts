import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPathPrefix, PathPrefixes, withoutPrefix } from './path-prefixes.ts';

const prefixes = new PathPrefixes(['/api', '/api/v2', '/admin']);

test('the longest prefix of whole segments counts', () => {
  for (const [path, prefix] of [
    ['/', ''],
    ['*', ''],
    ['/ap', ''],
    ['/apis', ''],
    ['/api', '/api'],
    ['/api/', '/api'],
    ['/api?x=/api/v2', '/api'],
    ['/api/v1/x', '/api'],
    ['/api/v2', '/api/v2'],
    ['/api/v2/x?y', '/api/v2'],
    ['/api/v22', '/api'],
    ['/API', ''],
  ] as const) {
    assert.deepEqual(prefixes.find(path), { prefix, path }, path);
  }
});

test('a path in another form is found by its normal form, which goes on', () => {
  for (const [path, prefix, normal] of [
    ['/%61dmin/x', '/admin', '/admin/x'],
    ['/x/../admin', '/admin', '/admin'],
    ['/admin/../x', '', '/x'],
    ['/api/group%2Fproject', '/api', '/api/group%2Fproject'],
    ['/api/a//b;c=d', '/api', '/api/a//b;c=d'],
    ['/files/a%20b;v=1', '', '/files/a%20b;v=1'],
    ['/api/caf%C3%A9?x=%0a', '/api', '/api/caf%C3%A9?x=%0a'],
  ] as const) {
    assert.deepEqual(prefixes.find(path), { prefix, path: normal }, path);
  }
});

test('a path that servers read with different prefixes is found nowhere', () => {
  for (const path of [
    '//admin',
    '/x/..;/admin',
    '/admin;x/y',
    '/%2561dmin',
    '/x%2f..%2fadmin',
    '/x\\..\\admin',
    '/admin%2f..%2fx',
    '/api/..%2fadmin',
    '/api%2fv2',
    '/api/v2;a/x',
    '/admin%00',
    '/admin%3fx',
    '/admin#',
    '/admin\x85',
    '/admin\xa0',
    '/caf\xc3\xa9',
    '/admin%0a',
    '/admin%20',
    '/ad%09min',
    '/x%c0%af..%c0%afadmin',
    '/%u0061dmin',
    '/%252525252561dmin',
  ]) {
    assert.equal(prefixes.find(path), null, path);
  }
});

test('a prefix has segments of characters with one form', () => {
  for (const good of ['/api', '/a/b', '/v1.2/~x', '/a=b', '/...', '/@scope', `/${'x'.repeat(255)}`]) {
    assert.ok(isPathPrefix(good), good);
  }
  for (const bad of [
    '',
    '/',
    'api',
    '/api/',
    '//a',
    '/a//b',
    '/.',
    '/a/..',
    '/%61',
    '/a;b',
    '/a,b',
    '/a b',
    '/a?b',
    '/a/.*',
    '/(a)',
    '/a$',
  ]) {
    assert.ok(!isPathPrefix(bad), bad);
  }
  assert.ok(!isPathPrefix(`/${'x'.repeat(256)}`));
});

test('a prefix is taken off, and one slash is left', () => {
  assert.equal(withoutPrefix('/api/x?y', '/api'), '/x?y');
  assert.equal(withoutPrefix('/api', '/api'), '/');
  assert.equal(withoutPrefix('/api?y', '/api'), '/?y');
  assert.equal(withoutPrefix('/api//evil.test/', '/api'), '/evil.test/');
  assert.equal(withoutPrefix('/api/x', ''), '/api/x');
});
