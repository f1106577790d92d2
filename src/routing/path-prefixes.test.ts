import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

/** Changes that servers make to a path, in any order, some of them or all. They share no code with the program. */
const readingSteps: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/\/{2,}/g, '/'),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => path.replace(/[?#\0].*/s, ''),
  (path) => path.replace(/^\/\/[^/]+/, ''),
  (path) => {
    const kept: string[] = [];
    for (const segment of path.split('/').slice(1)) {
      if (segment === '..') kept.pop();
      else if (segment !== '.') kept.push(segment);
    }
    return `/${kept.join('/')}`;
  },
];

function readingsOf(path: string): Set<string> {
  const found = new Set([path.replace(/\?.*/, '')]);
  for (const each of found) for (const step of readingSteps) found.add(step(each));
  return found;
}

test('every server reads a path that is found with the same prefix', () => {
  const tokens = [
    'admin',
    'x',
    '/',
    '%2f',
    '%2F',
    '\\',
    '%5c',
    ';',
    '%3b',
    '.',
    '..',
    '%2e',
    '%252e',
    '%252f',
    '%3f',
    '%23',
    '#',
  ];
  const divided = new PathPrefixes(['/admin']);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 7 }), (parts) => {
      const found = divided.find(`/${parts.join('')}`);
      if (found === null) return;
      for (const reading of readingsOf(found.path)) {
        assert.equal(/^\/admin(?:[/?#;\0]|$)/.test(reading), found.prefix === '/admin', `${found.path} as ${reading}`);
      }
    }),
    { numRuns: 3000 },
  );
});
