import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { describeStore } from '../contract.suite.ts';
import { Watch } from '../watch.suite.ts';
import { redisLocation, writerRights } from './redis.suite.ts';
import { openRedis } from './redis-store.ts';

/** The rights that docs/redis.md names for reading. */
const readerRights =
  '+ping +select +client|tracking +lrange +hgetall +hmget +get +smembers +pttl +scan +zrange ' +
  '%R~frontend:* %R~down:* %R~dead:* %R~options:* %R~tls:* %R~hipache:* %R~hchecker_ping';
const folder = mkdtempSync(join(tmpdir(), 'hipache-redis-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describeStore('redis, with a password', async () => {
  const cli = ['-a', 'p@ss/word', '--no-auth-warning'];
  const server = await RedisServer.start({ config: ['requirepass p@ss/word'], cli });
  return redisLocation(server, [`redis://:p%40ss%2Fword@127.0.0.1:${server.port}`]);
});

describeStore('redis, as a user that has no more rights than needed', async () => {
  const server = await RedisServer.start({ config: [`user hipache on >secret ${writerRights}`] });
  return redisLocation(server, [`redis://hipache:secret@127.0.0.1:${server.port}`], { store: { deadSet: true } });
});

describeStore('redis, over TLS', async () => {
  const [key, certificate] = makeCertificate('localhost');
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(certificate, 'utf8')]);
  const server = await RedisServer.start({ tls: { key, certificate } });
  return redisLocation(server, [`rediss://localhost:${server.port}`]);
});

describeStore('redis, of a server that knows neither RESP3 nor tracking', async () => {
  const server = await RedisServer.start({ config: ['rename-command HELLO ""', 'rename-command CLIENT ""'] });
  return { ...redisLocation(server, [server.url], { store: { ttlMs: 20 } }), changes: 'expiry' };
});

describe('redis, access', () => {
  test('a user that may only read can serve, and gets an error for what it may not do', async (t) => {
    const server = await RedisServer.start({ config: [`user reader on >secret ${readerRights}`] });
    t.after(() => server.remove());
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1', 'http://b:1');
    const store = await openRedis([`redis://reader:secret@127.0.0.1:${server.port}`], { serving: true });
    t.after(() => store.close());
    await store.watch({ changed() {}, expired() {}, lost() {}, restored() {} });
    assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, ['id', 'http://a:1', 'http://b:1']);
    assert.deepEqual(await store.certificates.read(['a.example']), [null]);
    assert.equal((await store.routes.list('', 10)).length, 1);
    await assert.rejects(store.routes.set('a.example', null, []), {
      code: 'STORE_DENIED',
      message: /lacks a right.*NOPERM/,
    });
  });

  test('a user of an earlier version, without the right to options, is served without them', async (t) => {
    const rights = writerRights.replace('~options:* ', '');
    const server = await RedisServer.start({ config: [`user earlier on >secret ${rights}`] });
    t.after(() => server.remove());
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1');
    await server.cli('hset', 'options:a.example', 'requestsMax', '1');
    const url = `redis://earlier:secret@127.0.0.1:${server.port}`;
    const grant = /may not read options:\*, so hosts have no options; grant it %R~options:\*/;
    const command = await openRedis([url]);
    t.after(() => command.close());
    const [route, none] = await command.routes.read(['a.example', 'b.example']);
    assert.deepEqual([route?.frontend, route?.options, none], [['id', 'http://a:1'], undefined, null]);
    assert.match(route?.diagnostics?.join() ?? '', grant);
    const denied = { code: 'STORE_DENIED', message: /lacks a right.*NOPERM/ };
    await assert.rejects(command.options.read(['a.example']), denied);
    await assert.rejects(command.options.change('a.example', new Map([['requestsMax', '2']])), denied);
    await command.routes.set('b.example', null, ['http://b:1']);

    const warnings: string[] = [];
    const log = { info() {}, warn: (message: string) => void warnings.push(message) };
    const proxy = await openRedis([url], { serving: true, log });
    t.after(() => proxy.close());
    const served = await proxy.routes.read(['a.example', 'b.example']);
    assert.deepEqual(
      served.map((record) => record?.diagnostics),
      [[], []],
    );
    assert.equal(warnings.filter((message) => grant.test(message)).length, 1);
    await server.cli('acl', 'setuser', 'earlier', '~options:*');
    assert.deepEqual((await proxy.routes.read(['a.example']))[0]?.options, new Map([['requestsMax', '1']]));
  });

  test('a user that the server does not have is left out, as by Hipache 0.4, with one warning', async (t) => {
    const cli = ['-a', 'secret', '--no-auth-warning'];
    for (const config of [[], ['rename-command HELLO ""', 'rename-command CLIENT ""']]) {
      const server = await RedisServer.start({ config: ['requirepass secret', ...config], cli });
      t.after(() => server.remove());
      const warnings: string[] = [];
      const log = { info() {}, warn: (message: string) => void warnings.push(message) };
      const url = `redis://hipache:secret@127.0.0.1:${server.port}`;
      const store = await openRedis([url], { serving: true, log, timings: { retryFirstMs: 5, retryMaxMs: 10 } });
      t.after(() => store.close());
      const seen = new Watch();
      await store.watch(seen);
      await store.routes.set('a.example', null, ['http://a:1']);
      assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, ['a.example', 'http://a:1']);
      const restored = seen.event('restored');
      await server.cli('client', 'kill', 'type', 'normal').catch(() => server.kill().then(() => server.start()));
      await restored;
      const refused = warnings.filter((message) => message.includes('user'));
      assert.deepEqual(refused, [
        `redis://127.0.0.1:${server.port}: refuses the user of the driver URL, and accepts its password alone, which ` +
          'Hipache 0.4 sent: leave the user out, as in redis://:password@host',
      ]);
    }
  });

  test('a user with a wrong password gets in nowhere else', async (t) => {
    const user = 'user hipache on >right ~* &* +@all';
    const denied = { code: 'STORE_DENIED', message: /refuses the user or the password.*WRONGPASS/ };
    for (const config of [[user], [user, 'requirepass other']]) {
      const server = await RedisServer.start({ config });
      t.after(() => server.remove());
      await assert.rejects(openRedis([`redis://hipache:mistyped@127.0.0.1:${server.port}`]), denied);
      const store = await openRedis([`redis://hipache:right@127.0.0.1:${server.port}`]);
      t.after(() => store.close());
      await assert.rejects(openRedis([`redis://nobody:x@127.0.0.1:${server.port}`]), denied);
    }
  });

  const refusals: readonly (readonly [what: string, config: string, user: string, code: string, message: RegExp])[] = [
    ['a wrong password', 'requirepass right', ':wrong@', 'STORE_DENIED', /refuses the user or the password/],
    ['no password', 'requirepass right', '', 'STORE_DENIED', /wants a password/],
    ['an unknown user', 'maxmemory 0', 'nobody:x@', 'STORE_DENIED', /refuses the user or the password/],
    ['a server that is full', 'maxclients 1', '', 'STORE_UNAVAILABLE', /maxclients/],
  ];
  for (const [what, config, user, code, message] of refusals) {
    test(`${what} is said as such`, async (t) => {
      const server = await RedisServer.start({ config: [config] });
      t.after(() => server.remove());
      const holder = await openRedis([server.url]).catch(() => null);
      t.after(() => holder?.close());
      const url = `redis://${user}127.0.0.1:${server.port}`;
      await assert.rejects(openRedis([url]), { code, message });
      await assert.rejects(
        openRedis([url]),
        (error: Error) => !/right|wrong|secret/.test(error.message.split('(')[0] ?? ''),
      );
    });
  }

  test('a user that may not subscribe to changes is reported as such, again and again', async (t) => {
    const server = await RedisServer.start({ config: ['user poor on >secret ~* +@all -client'] });
    t.after(() => server.remove());
    const timings = { retryFirstMs: 5, retryMaxMs: 10 };
    const store = await openRedis([`redis://poor:secret@127.0.0.1:${server.port}`], { timings });
    t.after(() => store.close());
    const losses: unknown[] = [];
    const seen = new Watch();
    seen.lost = (error) => void losses.push(error);
    await store.watch(seen);
    assert.match(String(losses[0]), /lacks a right.*NOPERM/);
    const restored = seen.event('restored');
    await server.cli('acl', 'setuser', 'poor', '+client|tracking');
    await restored;
  });

  test('what a server refuses to write is said as such', async (t) => {
    const primary = await RedisServer.start();
    t.after(() => primary.remove());
    const replica = await RedisServer.start({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
    t.after(() => replica.remove());
    const store = await openRedis([replica.url]);
    t.after(() => store.close());
    await assert.rejects(store.routes.set('a.example', null, []), {
      code: 'STORE_READ_ONLY',
      message: /primary.*READONLY/,
    });
    const full = await openRedis([primary.url]);
    t.after(() => full.close());
    await primary.cli('config', 'set', 'maxmemory', '1');
    await assert.rejects(full.routes.set('a.example', null, ['http://a:1']), {
      code: 'STORE_FULL',
      message: /maxmemory/,
    });
    await primary.cli('config', 'set', 'maxmemory', '0');
    await primary.cli('config', 'set', 'min-replicas-to-write', '3');
    await assert.rejects(full.routes.set('a.example', null, []), {
      code: 'STORE_READ_ONLY',
      message: /too few replicas/,
    });
    await primary.cli('config', 'set', 'min-replicas-to-write', '0');
    await full.routes.set('a.example', null, ['http://a:1']);
  });

  test('a server that is not there, or has a certificate of nobody, is said as such', async (t) => {
    const [key, certificate] = makeCertificate('other.example');
    const server = await RedisServer.start({ tls: { key, certificate } });
    t.after(() => server.remove());
    await assert.rejects(openRedis([`rediss://localhost:${server.port}`]), {
      code: 'STORE_UNAVAILABLE',
      message: /certificate is not accepted.*NODE_EXTRA_CA_CERTS/,
    });
    await server.kill();
    await assert.rejects(openRedis([`rediss://localhost:${server.port}`]), { message: /no server runs there/ });
    await assert.rejects(openRedis([`redis+unix://${folder}/none.sock`]), { message: /no such socket/ });
  });
});

/** A key and a certificate that is its own authority, made once a name. @returns their paths. */
function makeCertificate(name: string): [key: string, certificate: string] {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  return [key, certificate];
}
