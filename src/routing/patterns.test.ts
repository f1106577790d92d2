import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameWithPort, normaliseHost } from './host.ts';
import { coveringPatterns, covers, isWildcard, parseRoutePattern, pathOf, patternsAfter } from './patterns.ts';

test('a host with a port has a name of its own, after which the host and its wildcards are tried', () => {
  for (const [value, name, after] of [
    ['A.b.com:8080', 'a.b.com:8080', ['a.b.com', '*.b.com', '*.com', '*']],
    ['a.com:0080', 'a.com:80', ['a.com', '*.com', '*']],
    ['[::1]:80', '[::1]:80', ['[::1]', '*']],
    ['a.com:', 'a.com', ['*.com', '*']],
    ['a.com', 'a.com', ['*.com', '*']],
    ['[::1]', '[::1]', ['*']],
  ] as const) {
    assert.equal(nameWithPort(normaliseHost(value) ?? '', value), name);
    assert.deepEqual(patternsAfter(name), after);
  }
});

test('a pattern inherits from the wildcards above it, with or without a port, never from itself', () => {
  assert.deepEqual(coveringPatterns('a.b.com'), ['*.b.com', '*.com', '*']);
  assert.deepEqual(coveringPatterns('*.b.com'), ['*.com', '*']);
  assert.deepEqual(coveringPatterns('a.b.com:8080'), ['*.b.com', '*.com', '*']);
  assert.deepEqual(coveringPatterns('*'), []);
  assert.deepEqual(coveringPatterns('[::1]'), ['*']);
  for (const pattern of ['a.b.com', 'a.b.com:8080', '*.b.com', '*', '[::1]']) {
    for (const wildcard of coveringPatterns(pattern)) assert.ok(covers(wildcard, pattern));
    assert.ok(!covers('*.other.com', pattern) && !covers(pattern, pattern));
  }
});

test('a path inherits from its host, then from the wildcards above that', () => {
  assert.deepEqual(coveringPatterns('a.b.com/api'), ['a.b.com', '*.b.com', '*.com', '*']);
  assert.deepEqual(coveringPatterns('*.b.com/api'), ['*.b.com', '*.com', '*']);
  assert.deepEqual(coveringPatterns('a.com:8080/api'), ['a.com:8080', '*.com', '*']);
  assert.deepEqual(coveringPatterns('*/api'), ['*']);
  for (const pattern of ['a.b.com/api', '*.b.com/api', '*/api', 'a.com:8080/api', '[::1]/api']) {
    for (const above of coveringPatterns(pattern)) assert.ok(covers(above, pattern), `${above} ${pattern}`);
    assert.ok(!covers('other.com', pattern) && !covers(`${pattern}/v2`, pattern) && !covers(pattern, pattern));
  }
  assert.ok(!covers('*.b.com/api', 'x.b.com/api'), 'a path of a wildcard covers nothing');
  assert.ok(isWildcard('*.b.com') && !isWildcard('*.b.com/api'));
  assert.deepEqual(patternsAfter('a.b.com/api'), []);
});

test('the pattern of a route may have the prefix of a path', () => {
  assert.equal(parseRoutePattern('Example.COM/Api/v1'), 'example.com/Api/v1');
  assert.equal(parseRoutePattern('*.example.com/api'), '*.example.com/api');
  assert.equal(parseRoutePattern('example.com/'), 'example.com');
  assert.equal(pathOf(parseRoutePattern('*/api')), '/api');
  for (const bad of ['a.com/api/', 'a.com/%61', 'a.com/a?b', 'a.com//a', 'a.com/..', '/api', 'http://a.com/api']) {
    assert.throws(() => parseRoutePattern(bad), { code: 'COMMAND_INVALID' }, bad);
  }
});
