import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEtcdUrls } from './endpoints.ts';

test('members share the account, the prefix and the files of the first URL', () => {
  const files = { ca: '/ca.pem', cert: '/c.pem', key: '/k.pem' };
  assert.deepEqual(
    parseEtcdUrls(['etcds://u:p%40@a.test/?ca=/ca.pem&cert=/c.pem&key=/k.pem#hipache/', 'etcds://u:p%40@[::1]:7']),
    {
      hosts: [
        { host: 'a.test', port: 2379 },
        { host: '::1', port: 7 },
      ],
      tls: true,
      files,
      account: { user: 'u', password: 'p@' },
      prefix: '/hipache/',
      name: 'etcds://a.test:2379,[::1]:7',
    },
  );
  const { hosts: several, ...shared } = parseEtcdUrls([
    'etcds://u:p%40@a.test,b.test:7/?ca=/ca.pem#x',
    'etcds://c.test',
  ]);
  assert.deepEqual(
    several.map(({ host, port }) => `${host} ${port}`),
    ['a.test 2379', 'b.test 7', 'c.test 2379'],
  );
  assert.deepEqual([shared.prefix, shared.files.ca, shared.account?.password], ['/x', '/ca.pem', 'p@']);
  const { account, hosts, prefix } = parseEtcdUrls(['etcd:#/x']);
  assert.deepEqual([account, hosts, prefix], [null, [{ host: '127.0.0.1', port: 2379 }], '/x']);
});

test('URLs that contradict each other, or name what etcd lacks, are refused without the password', () => {
  for (const [urls, problem] of [
    [['etcd://u:p@a', 'etcd://u:other@b'], /differs from the first URL/],
    [['etcd://a', 'etcds://b'], /differs from the first URL/],
    [['etcd://a/#x', 'etcd://b/#y'], /differs from the first URL/],
    [['etcd://user@a'], /belong together/],
    [['etcd://a/3'], /the path "3" means nothing/],
    [['etcd://a/?ca=/x'], /need etcds/],
    [['etcds://a/?cert=/x'], /belong together/],
    [['etcds://a/?ca='], /only ca=FILE/],
    [['etcds://a/?timeout=3'], /only ca=FILE/],
  ] as const) {
    assert.throws(
      () => parseEtcdUrls(urls),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'COMMAND_INVALID');
        assert.match(error.message, problem);
        assert.doesNotMatch(error.message, /:p@|other/);
        return true;
      },
    );
  }
});
