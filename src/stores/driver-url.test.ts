import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HipacheError } from '../base/errors.ts';
import { parseDriverUrl } from './driver-url.ts';

const parts = (value: string) => {
  const { protocol, tls, user, password, host, port, database, prefix } = parseDriverUrl(value);
  return [protocol, tls, user, password, host, port, database, prefix];
};

test("Hipache's URLs are understood, with any part left out", () => {
  assert.deepEqual(parts('redis:'), ['redis', false, null, null, null, null, null, '']);
  assert.deepEqual(parts('redis://'), ['redis', false, null, null, null, null, null, '']);
  assert.deepEqual(parts('redis://:pass@cache:6380/2#blue-'), [
    'redis',
    false,
    null,
    'pass',
    'cache',
    6380,
    '2',
    'blue-',
  ]);
  assert.deepEqual(parts('etcds://me:p%40ss@[::1]:2379#x%2Fy'), ['etcd', true, 'me', 'p@ss', '::1', 2379, null, 'x/y']);
  assert.deepEqual(parts('memcached://a'), ['memcached', false, null, null, 'a', null, null, '']);
  assert.deepEqual(parts('ZooKeeper://:2181/#prefix'), ['zookeeper', false, null, null, null, 2181, null, 'prefix']);
  assert.deepEqual(parts('redis:#p'), ['redis', false, null, null, null, null, null, 'p']);
});

test('a wrong URL is refused with what is wrong, without its password', () => {
  for (const [value, problem] of [
    ['', /no protocol/],
    ['routes.sqlite', /no protocol/],
    ['redis://h:99999', /port 99999/],
    ['redis://h:port', /protocol:\/\//],
    ['redis://a,b', /"a,b" is no host/],
    ['redis://a b:1', /"a b" is no host/],
    ['redis:h', /protocol:\/\//],
    ['redis://u:%zz@h', /%25/],
    ['redis://u:hunter2@h:0', /port 0/],
    ['redis://u:hunter2/x@h', /protocol:\/\//],
    ['redis://u:hunter2?@h@i', /protocol:\/\//],
  ] as const) {
    assert.throws(
      () => parseDriverUrl(value),
      (error: HipacheError) => {
        assert.equal(error.code, 'COMMAND_INVALID');
        assert.match(error.message, problem);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  }
});

test('no text makes the parser fail otherwise', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl(),
        fc.string().map((text) => `redis:${text}`),
      ),
      (value) => {
        try {
          parseDriverUrl(value);
        } catch (error) {
          assert.ok(error instanceof HipacheError, String(error));
        }
      },
    ),
  );
});
