import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownBackend, shownUrl } from './shown-url.ts';

const passwords = [
  'S3cret',
  'S3/cret',
  'S3?cret',
  'S3#cret',
  'S3@cret',
  'S3\ncret',
  '%533cret',
  'S3%40cret',
  '//S3cret',
];

test('no password is shown, in any form of any driver', () => {
  for (const scheme of [
    'redis',
    'rediss',
    'REDIS',
    'redis+unix',
    'etcds',
    'memcached',
    'zookeeper',
    'http',
    'https',
    'x',
  ]) {
    for (const password of passwords) {
      for (const credentials of [password, `:${password}`, `user:${password}`, `:${password}:more`]) {
        for (const start of ['://', ':', ':/', ':///']) {
          for (const rest of [
            '',
            'host',
            'host:6380/2',
            '/run/redis.sock?db=1#prefix:',
            '[::1]:1/0#p@x',
            'host:99999/x',
          ]) {
            const url = `${scheme}${start}${credentials}@${rest}`;
            const shown = shownUrl(url);
            assert.doesNotMatch(shown, /S3|533|cret|more/, url);
            assert.ok(shown.toLowerCase().startsWith(`${scheme.toLowerCase()}:`), url);
          }
        }
      }
    }
  }
});

test('neither is one in a query, or in text without a scheme', () => {
  for (const url of [
    'redis://host?password=S3cret',
    'redis://host/0?auth=S3cret&db=1#p',
    'redis+unix:///run/redis.sock?db=0&password=S3cret',
    'redis+unix:///run/redis.sock?S3cret',
    'http://host/?token=S3cret',
    'S3cret@host',
    ':S3cret@host',
    'user:S3cret@host:6379/0',
    '//:S3cret@host',
    'sqlite://user:S3cret@host/routes.db',
  ]) {
    assert.doesNotMatch(shownUrl(url), /S3cret/, url);
  }
});

test('a user, the server and everything that is no secret stay', () => {
  assert.equal(shownUrl('redis://u:hunter2@h:1/2#p'), 'redis://u:********@h:1/2#p');
  assert.equal(shownUrl('redis://:hunter2@h'), 'redis://:********@h');
  assert.equal(shownUrl('redis://hunter2@h/0'), 'redis://********@h/0');
  for (const text of [
    'sqlite:/a:b@c',
    'sqlite:///a@b?c',
    'redis://h:6379/0',
    'redis+unix:///run/redis.sock?db=1#prefix:',
    'rediss://[::1]:6380/2#prefix:',
    'http://10.0.0.1:8000/path#weight=2',
    '',
    '30',
  ]) {
    assert.equal(shownUrl(text), text);
  }
});

test('text in a record that is no URL stays as it is', () => {
  assert.equal(shownBackend('someone@example.com'), 'someone@example.com');
  assert.equal(shownBackend('http://u:S3cret@h:1#weight=2'), 'http://u:********@h:1#weight=2');
});

test('a password where the port should be is hidden: the host was forgotten', () => {
  for (const scheme of ['redis', 'rediss', 'etcd']) {
    for (const url of [
      `${scheme}://u:s3cret`,
      `${scheme}://u:s3cret h`,
      `${scheme}://u:s3cret/0#p`,
      `${scheme}://u:12s3cret?db=1`,
    ]) {
      assert.doesNotMatch(shownUrl(url), /s3cret/, url);
      assert.match(shownUrl(url), /^[a-z]+:\/\/u:\*/);
    }
  }
  for (const url of ['zookeeper://a:1,b:2/chroot', 'redis://h:6379/0#p', 'redis://h:', 'http://h:80']) {
    assert.equal(shownUrl(url), url);
  }
});
