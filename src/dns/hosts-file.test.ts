import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocalhost, parseHosts } from './hosts-file.ts';

test('a hosts file gives all addresses of a name, IPv4 first', () => {
  const table = parseHosts(
    [
      '# 10.0.0.9 commented',
      '::1 localhost ip6-localhost',
      '127.0.0.1\tlocalhost\r',
      '  10.0.0.1   App.Test app # app2',
      '10.0.0.2 app.test',
      '10.0.0.1 app.test',
      'fe80::1%lo scoped',
      'app.test 10.0.0.3',
      '10.0.0.300 wrong',
      '10.0.0.4',
      '',
    ].join('\n'),
  );
  assert.deepEqual(Object.fromEntries(table), {
    localhost: ['127.0.0.1', '::1'],
    'ip6-localhost': ['::1'],
    'app.test': ['10.0.0.1', '10.0.0.2'],
    app: ['10.0.0.1'],
    scoped: ['fe80::1%lo'],
  });
});

test('localhost and the names below it are this machine', () => {
  for (const name of ['localhost', 'localhost.', 'a.localhost', 'a.b.localhost.']) assert.ok(isLocalhost(name), name);
  for (const name of ['localhost.test', 'alocalhost', 'localhost.localdomain', 'local'])
    assert.ok(!isLocalhost(name), name);
});
