import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Authority } from '../../../test/helpers/authority.ts';
import { EtcdServer } from '../../../test/helpers/etcd-server.ts';
import { Watch } from '../watch.suite.ts';
import { openEtcd } from './etcd-store.ts';

describe('an etcd cluster with accounts', () => {
  test('is used with a user and a password, and says what is wrong with others', async (t) => {
    const server = await EtcdServer.start({ args: ['--auth-token-ttl', '1'] });
    t.after(() => server.remove());
    const [url = ''] = server.urls;
    const withAccount = (account: string) => [`${url.replace('//', `//${account}@`)}/#hipache/`];
    await server.ctl('role', 'add', 'proxy');
    await server.ctl('role', 'grant-permission', 'proxy', '--prefix=true', 'readwrite', '/hipache/');
    await server.ctl('user', 'add', 'hipache:s3cret');
    await server.ctl('user', 'grant-role', 'hipache', 'proxy');
    await server.ctl('user', 'add', 'other:s3cret');
    await server.ctl('user', 'add', 'root:root');
    await server.ctl('user', 'grant-role', 'root', 'root');
    await server.ctl('auth', 'enable');
    const store = await openEtcd(withAccount('hipache:s3cret'));
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    const told = seen.next('routes', 'a.test');
    await store.routes.set('a.test', null, ['http://a:1']);
    await told;
    // A token that has ended is replaced.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.deepEqual((await store.routes.read(['a.test']))[0]?.frontend, ['a.test', 'http://a:1']);
    for (const [urls, message] of [
      [withAccount('hipache:wrong'), /refuses the user or the password/],
      [withAccount('other:s3cret'), /lacks a right; it needs readwrite on the prefix/],
      [[`${url}/#hipache/`], /wants a user and a password/],
    ] as const) {
      await assert.rejects(openEtcd(urls), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /s3cret|wrong@/);
        assert.equal((error as Error & { code: string }).code, 'STORE_DENIED');
        return true;
      });
    }
  });

  test('that has none ignores the account of the URL', async (t) => {
    const server = await EtcdServer.start();
    t.after(() => server.remove());
    const store = await openEtcd([(server.urls[0] ?? '').replace('//', '//hipache:s3cret@')]);
    t.after(() => store.close());
    assert.deepEqual(await store.routes.read(['a.test']), [null]);
  });
});

describe('an etcd cluster with TLS', () => {
  test('is verified, and gets the certificate of the client', async (t) => {
    const authority = new Authority();
    t.after(() => authority.dispose());
    const issued = authority.issue(['127.0.0.1', 'localhost']);
    const server = await EtcdServer.start({
      args: [
        ...['--cert-file', issued.certificateFile, '--key-file', issued.keyFile],
        ...['--client-cert-auth', '--trusted-ca-file', authority.certificateFile],
      ],
    });
    t.after(() => server.remove());
    const url = (server.urls[0] ?? '').replace('etcd:', 'etcds:');
    const files = `ca=${authority.certificateFile}&cert=${issued.certificateFile}&key=${issued.keyFile}`;
    const store = await openEtcd([`${url}/?${files}`]);
    t.after(() => store.close());
    await store.routes.set('a.test', null, ['http://a:1']);
    assert.deepEqual((await store.routes.read(['a.test']))[0]?.frontend, ['a.test', 'http://a:1']);
    await assert.rejects(openEtcd([`${url}/?ca=${authority.certificateFile}`]), { code: 'STORE_UNAVAILABLE' });
    await assert.rejects(openEtcd([url]), { code: 'STORE_UNAVAILABLE', message: /certificate/ });
    const broken = join(server.directory, 'broken.pem');
    writeFileSync(broken, 'text');
    await assert.rejects(openEtcd([`${url}/?ca=${join(server.directory, 'none.pem')}`]), /none\.pem cannot be read/);
    await assert.rejects(openEtcd([`${url}/?ca=${broken}`]), { source: 'store' });
  });
});
