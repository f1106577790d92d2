import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPlainPath, loosePaths, normalPath } from './path-forms.ts';

test('the normal form of a path says the same in one way', () => {
  for (const [path, normal] of [
    ['/', '/'],
    ['/a/b?c=/../%61', '/a/b?c=/../%61'],
    ['/%61dmin', '/admin'],
    ['/%7Euser/%2D%2e%5F', '/~user/-._'],
    ['/a/./b/../c', '/a/c'],
    ['/a/%2e%2E/b', '/b'],
    ['/..', '/'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['/a//b/', '/a//b/'],
    ['/a%2fb%20c', '/a%2fb%20c'],
    ['/a%2', '/a%2'],
    ['/...', '/...'],
  ] as const) {
    assert.equal(normalPath(path), normal, path);
  }
});

test('a generous server reads a path in the ways that servers are known for', () => {
  for (const [path, loose] of [
    ['/a?b', '/a'],
    ['/%61dmin', '/admin'],
    ['/%2561dmin', '/admin'],
    ['/%252561dmin', '/admin'],
    ['/x//admin', '/x/admin'],
    ['/x;v=1/admin;a=b', '/x/admin'],
    ['/x%2fadmin', '/x/admin'],
    ['/x\\admin%5Cy', '/x/admin/y'],
    ['/admin%00.html', '/admin'],
    ['/admin%3Fx', '/admin'],
    ['/admin#x', '/admin'],
  ] as const) {
    assert.equal(loosePaths(path)?.[0], loose, path);
  }
  assert.deepEqual(loosePaths('/admin%3Fx'), ['/admin', '/admin?x']);
  const unforeseeable = [
    '//x/admin',
    '/\\x',
    '/%2fx',
    '/x/..;/admin',
    '/x%2f..%2fadmin',
    '/x\\..',
    '/x/%252e%252e',
    '/a;b%2fc',
  ];
  for (const path of unforeseeable) assert.equal(loosePaths(path), null, path);
});

test('a plain path has one form, and a normal form is its own', () => {
  const segment = fc.constantFrom('a', '.', '..', '', '%2e', '%2F', ';x', '..;', '\\', '%61', 'b~', '?', '%');
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
      const path = `/${segments.join('/')}`;
      const normal = normalPath(path);
      assert.equal(normalPath(normal), normal);
      assert.ok(normal.startsWith('/'));
      assert.doesNotMatch(normal.split('?')[0] ?? '', /\/\.{1,2}(\/|$)/);
      if (isPlainPath(path)) assert.deepEqual(loosePaths(path), [path.split('?')[0], path.split('?')[0]]);
    }),
  );
});
