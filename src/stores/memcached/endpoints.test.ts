import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMemcachedUrls } from './endpoints.ts';

test('a pool is one URL with several servers, or several URLs', () => {
  const pool = parseMemcachedUrls(['memcached://a.test,b.test:7#x', 'memcached://[::1]']);
  assert.deepEqual(pool, {
    servers: [
      { host: 'a.test', port: 11_211 },
      { host: 'b.test', port: 7 },
      { host: '::1', port: 11_211 },
    ],
    tls: false,
    prefix: 'x',
    name: 'memcached://a.test:11211,b.test:7,[::1]:11211',
  });
});

test('what memcached lacks is refused', () => {
  for (const [urls, problem] of [
    [['memcached://u:p@a,b'], /no accounts/],
    [['memcached://a,b/3'], /its path means nothing/],
    [['memcached://a,b/c,d'], /its path means nothing/],
    [['memcached://a,b c'], /"b c" is no host/],
    [['memcached://a', 'memcacheds://b'], /differs from the first URL/],
    [['memcached://a#x y'], /no blanks/],
  ] as const) {
    assert.throws(() => parseMemcachedUrls(urls), { code: 'COMMAND_INVALID', message: problem });
  }
});
