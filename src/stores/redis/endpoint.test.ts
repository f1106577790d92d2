import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRedisUrls } from './endpoint.ts';

const local = {
  host: '127.0.0.1',
  port: 6379,
  path: null,
  tls: false,
  user: null,
  password: null,
  database: 0,
  sentinels: null,
  cluster: null,
};

test('the URLs of Hipache 0.4 name what they named there', () => {
  const cases: readonly (readonly [url: string, expected: object])[] = [
    ['redis:', local],
    ['redis://', local],
    ['redis://10.0.0.1', { ...local, host: '10.0.0.1' }],
    ['redis://r.example:6380', { ...local, host: 'r.example', port: 6380 }],
    ['redis://:p%40ss@r.example/2', { ...local, host: 'r.example', password: 'p@ss', database: 2 }],
    ['redis://lone@r.example', { ...local, host: 'r.example', password: 'lone' }],
    ['redis:///1', { ...local, database: 1 }],
    ['redis://user:x@[::1]:7/3', { ...local, host: '::1', port: 7, user: 'user', password: 'x', database: 3 }],
    ['rediss://r.example', { ...local, host: 'r.example', tls: true }],
    ['redis+unix:///run/redis.sock', { ...local, host: null, path: '/run/redis.sock' }],
    [
      'redis+unix://u:p%2F@/run/a%20b.sock?db=4#pre',
      { ...local, host: null, path: '/run/a b.sock', user: 'u', password: 'p/', database: 4 },
    ],
  ];
  for (const [url, expected] of cases) {
    const { reads, writes } = parseRedisUrls([url]);
    const { name, ...rest } = reads;
    assert.deepEqual(rest, expected, url);
    assert.equal(reads, writes);
    assert.doesNotMatch(name, /p%40ss|lone|user|pre/);
  }
});

test('a pair reads from the first and writes to the second, with one prefix', () => {
  const { reads, writes, prefix } = parseRedisUrls(['redis://replica/1#x:', 'redis://primary/1']);
  assert.deepEqual([reads.host, writes.host, prefix], ['replica', 'primary', 'x:']);
  assert.throws(() => parseRedisUrls(['redis://a#x', 'redis://b#y']), { code: 'COMMAND_INVALID', message: /prefix/ });
  assert.throws(() => parseRedisUrls(['redis://a', 'redis://b', 'redis://c']), { code: 'STORE_UNSUPPORTED' });
});

test('sentinels are named with their group, and have an account of their own', () => {
  const { reads, writes, prefix } = parseRedisUrls([
    'rediss+sentinel://:secret@a.test,[::1]:7/routes/2?user=u&password=hidden#x:',
  ]);
  assert.equal(reads, writes);
  assert.deepEqual([reads.tls, reads.password, reads.database, prefix], [true, 'secret', 2, 'x:']);
  assert.deepEqual(reads.sentinels, {
    addresses: [
      { host: 'a.test', port: 26_379 },
      { host: '::1', port: 7 },
    ],
    name: 'routes',
    user: 'u',
    password: 'hidden',
  });
  assert.equal(reads.name, 'rediss+sentinel://a.test:26379,[::1]:7/routes');
});

test('a cluster is named by some of its nodes', () => {
  const { reads, writes, prefix } = parseRedisUrls(['Rediss+Cluster://u:secret@a.test,[::1]:7000/0#x:']);
  assert.equal(reads, writes);
  assert.deepEqual([reads.tls, reads.user, reads.password, reads.database, prefix], [true, 'u', 'secret', 0, 'x:']);
  assert.deepEqual(reads.cluster, [
    { host: 'a.test', port: 6379 },
    { host: '::1', port: 7000 },
  ]);
  assert.equal(reads.name, 'rediss+cluster://a.test:6379,[::1]:7000');
  assert.throws(() => parseRedisUrls(['redis+cluster://a/1']), {
    code: 'COMMAND_INVALID',
    message: /only the database 0/,
  });
  for (const pair of [
    ['redis+cluster://a', 'redis://b'],
    ['redis://a', 'redis+cluster://b'],
    ['redis://a', 'redis+sentinel://b/group'],
  ]) {
    assert.throws(() => parseRedisUrls(pair), { code: 'COMMAND_INVALID' });
  }
});

test('what cannot be meant is refused, without its password', () => {
  for (const url of [
    'redis://:secret@h/name',
    'redis://:secret@h/-1',
    'redis+unix://:secret@run/redis.sock',
    'redis+unix://:secret@',
    'redis+unix://:secret@/run/redis.sock?database=1',
    'redis+sentinel://:secret@a,b',
    'redis+sentinel://:secret@a/routes/0/1',
    'redis+sentinel://:secret@a/routes?db=1',
    'redis+sentinel://:secret@a,b@c/routes',
    'redis+cluster://:secret@a,b/2',
    'redis+cluster://:secret@a,b@c',
  ]) {
    assert.throws(
      () => parseRedisUrls([url]),
      (error: Error) => 'code' in error && error.code === 'COMMAND_INVALID' && !error.message.includes('secret'),
      url,
    );
  }
});
