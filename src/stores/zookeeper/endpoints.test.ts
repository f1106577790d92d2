import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseZooKeeperUrls } from './endpoints.ts';
import { decodeName, encodeName, ZooKeeperKeys } from './keys.ts';

test('servers come from one URL or from several, with chroot, prefix and account of the first', () => {
  const expected = {
    servers: [
      { host: 'a.test', port: 2181 },
      { host: 'b.test', port: 7 },
    ],
    tls: false,
    account: 'u:p@',
    root: '/x/y/z',
    name: 'zookeeper://a.test:2181,b.test:7/x/y/z',
  };
  assert.deepEqual(parseZooKeeperUrls(['zookeeper://u:p%40@a.test,b.test:7/x/y#z']), expected);
  assert.deepEqual(parseZooKeeperUrls(['zookeeper://u:p%40@a.test/x/y#z', 'zookeeper://b.test:7']), expected);
  const { servers, root, account } = parseZooKeeperUrls(['zookeeper:']);
  assert.deepEqual([servers, root, account], [[{ host: '127.0.0.1', port: 2181 }], '', null]);
});

test('URLs that contradict each other are refused without the password', () => {
  for (const [urls, problem] of [
    [['zookeeper://u:p@a', 'zookeeper://u:other@b'], /differs from the first URL/],
    [['zookeeper://a', 'zookeepers://b'], /differs from the first URL/],
    [['zookeeper://a/x', 'zookeeper://b/y'], /differs from the first URL/],
    [['zookeeper://user@a'], /belong together/],
    [['zookeeper://a:99999'], /99999/],
    [['zookeeper://a,b:x'], /driver/],
  ] as const) {
    assert.throws(
      () => parseZooKeeperUrls(urls),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'COMMAND_INVALID');
        assert.match(error.message, problem);
        assert.doesNotMatch(error.message, /:p@|other/);
        return true;
      },
    );
  }
});

test('a pattern is the name of its node, with what ZooKeeper does not take escaped', () => {
  const keys = new ZooKeeperKeys('/x');
  assert.equal(keys.of('frontend:*.a.test'), '/x/frontend/*.a.test');
  assert.equal(keys.of('hipache:failed:a.test'), '/x/hipache/failed/a.test');
  for (const pattern of ['a/b', '.', '..', '100%', 'a\u0000b', '😀', 'ä', '\ue000', '%2F']) {
    const name = encodeName(pattern);
    assert.equal(decodeName(name), pattern);
    assert.doesNotMatch(name, /[/\ud800-\uf8ff]|^\.{1,2}$/);
    assert.equal(name.includes('\0'), false);
    assert.deepEqual(keys.parse(keys.of(`tls:${pattern}`)), { kind: 'tls', pattern });
  }
  assert.equal(decodeName('%zz'), '%zz');
  assert.deepEqual(keys.parentsOf('/x/hipache/revision'), ['/x', '/x/hipache']);
  assert.equal(keys.parse('/y/frontend/a'), null);
});
