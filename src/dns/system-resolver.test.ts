import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { DnsServer, type DnsServerOptions } from '../../test/helpers/dns-server.ts';
import { until } from '../../test/helpers/until.ts';
import { type DnsSettings, systemResolver } from './system-resolver.ts';

type Records = Readonly<Record<string, readonly string[]>>;

interface SetUpOptions {
  readonly server?: DnsServerOptions;
  readonly settings?: Partial<DnsSettings>;
  readonly hosts?: string;
  readonly resolvConf?: string;
}

/** A real name server, and a resolver that asks it. */
async function setUp(context: TestContext, records: Records, options: SetUpOptions = {}) {
  const server = await DnsServer.start(records, options.server);
  const folder = mkdtempSync(join(tmpdir(), 'hipache-resolver-'));
  const hostsFile = join(folder, 'hosts');
  const resolvConf = join(folder, 'resolv.conf');
  writeFileSync(hostsFile, options.hosts ?? '');
  writeFileSync(resolvConf, options.resolvConf ?? 'search .\n');
  const ignore = () => {};
  const resolver = systemResolver({
    settings: {
      servers: [server.address],
      ttlSecondsMin: 0.1,
      ttlSecondsMax: 60,
      timeoutSeconds: 5,
      ...options.settings,
    },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    onInternalError: (error) => {
      throw error;
    },
    files: { hostsFile, resolvConf },
  });
  context.after(async () => {
    resolver.close();
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const watch = (name: string) => {
    const heard: string[] = [];
    const { close } = resolver.watch(name, {
      onAddresses: (addresses) => void heard.push(addresses.join(' ')),
      onFailed: ({ code }) => void heard.push(code),
    });
    const last = (expected: string) =>
      until(`${name} to be ${expected}`, () => heard.at(-1) === expected).catch((error: Error) => {
        throw new Error(`${error.message}; it was ${heard.join(', ')}`);
      });
    return { heard, close, last };
  };
  return { server, resolver, watch, hostsFile, resolvConf };
}

describe('a name', () => {
  test('has the addresses of both families, those of a CNAME, and a lifetime', async (context) => {
    const { resolver, watch } = await setUp(
      context,
      { 'both.test': ['10.0.0.1', 'fd00::1'], 'four.test': ['10.0.0.2'], 'six.test': ['fd00::3'] },
      { server: { ttlSeconds: 30, aliases: { 'alias.test': 'both.test' } } },
    );
    const names = ['both.test', 'four.test', 'six.test', 'alias.test'];
    await Promise.all(
      ['10.0.0.1 fd00::1', '10.0.0.2', 'fd00::3', '10.0.0.1 fd00::1'].map((expected, index) =>
        watch(names[index] ?? '').last(expected),
      ),
    );
    for (const name of names) {
      const { source, expiresInMs = 0, problem } = resolver.describe(name) ?? {};
      assert.deepEqual([source, problem], ['dns', null]);
      assert.ok(expiresInMs > 1000 && expiresInMs <= 30_000, `${name} for ${expiresInMs} ms`);
    }
  });

  test('that does not exist, or has no address, fails, and is found when it appears', async (context) => {
    const { server, watch } = await setUp(context, { 'mx.example.test': [] });
    const { last } = watch('new.test');
    await last('ENOTFOUND');
    await server.set({ 'new.test': ['10.0.0.9'] });
    await last('10.0.0.9');
  });

  test('that moves is followed', async (context) => {
    const { server, watch } = await setUp(context, { 'a.test': ['10.0.0.1'] });
    const { heard, last } = watch('a.test');
    await last('10.0.0.1');
    await server.set({ 'a.test': ['10.0.0.2', '10.0.0.3'] });
    await until('two addresses', () => heard.at(-1)?.split(' ').toSorted().join(' ') === '10.0.0.2 10.0.0.3');
    await server.set({ 'a.test': ['10.0.0.3'] });
    await last('10.0.0.3');
  });

  test('that no server answers delays no other', async (context) => {
    const { server, resolver, watch } = await setUp(
      context,
      Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`good-${index}.test`, ['10.0.0.1']])),
      { server: { unanswered: ['dead.test'] }, settings: { timeoutSeconds: 600 } },
    );
    const dead = Array.from({ length: 20 }, (_, index) => watch(`${index}.dead.test`));
    await until('the queries to be sent', () => server.unanswered > 0 && resolver.inFlight === 20);
    const good = Array.from({ length: 300 }, (_, index) => watch(`good-${index}.test`));
    await until('the good names to be resolved', () => good.every(({ heard }) => heard[0] === '10.0.0.1'));
    assert.ok(
      dead.every(({ heard }) => heard.length === 0),
      'the dead names are still being looked up',
    );
    for (const { close } of dead) close();
    assert.equal(resolver.counters.cancelled, 20);
  });

  test('that no server answers fails as ETIMEOUT', async (context) => {
    const { watch } = await setUp(
      context,
      {},
      { server: { unanswered: ['dead.test'] }, settings: { timeoutSeconds: 0.2 } },
    );
    await watch('dead.test').last('ETIMEOUT');
  });

  test('in the search list is found', async (context) => {
    const { server, watch } = await setUp(
      context,
      { 'app.prod.svc.test': ['10.0.0.1'], 'db.default.svc.test': ['10.0.0.2'], 'a.b.c.test': ['10.0.0.3'] },
      { resolvConf: 'search default.svc.test svc.test\noptions ndots:2\n' },
    );
    await Promise.all([
      watch('app.prod').last('10.0.0.1'),
      watch('db').last('10.0.0.2'),
      watch('a.b.c.test').last('10.0.0.3'),
      watch('db.').last('EREFUSED'),
    ]);
    assert.ok(server.queries('app.prod.default.svc.test') > 0);
    assert.equal(server.queries('a.b.c.test.svc.test'), 0);
  });

  test('in the hosts file needs no server, and is followed there', async (context) => {
    const { server, resolver, watch, hostsFile } = await setUp(
      context,
      { 'a.test': ['10.0.0.1'] },
      { hosts: '10.1.0.1 a.test\n' },
    );
    const { last } = watch('a.test');
    await last('10.1.0.1');
    assert.equal(resolver.describe('a.test')?.source, 'hosts');
    assert.equal(server.queries('a.test'), 0);
    writeFileSync(hostsFile, '10.1.0.2 a.test\n');
    await last('10.1.0.2');
    writeFileSync(hostsFile, '');
    await last('10.0.0.1');
    assert.equal(resolver.describe('a.test')?.source, 'dns');
    const local = watch('app.localhost');
    await local.last('127.0.0.1 ::1');
    assert.equal(resolver.describe('app.localhost')?.source, 'localhost');
  });
});

describe('a name server', () => {
  test('that stops and returns: the last addresses are kept, then the name is followed again', async (context) => {
    const { server, resolver, watch } = await setUp(context, { 'a.test': ['10.0.0.1'] });
    const { heard, last } = watch('a.test');
    await last('10.0.0.1');
    await server.kill();
    await until('a failed lookup', () => resolver.describe('a.test')?.problem?.code === 'ECONNREFUSED');
    assert.deepEqual(watch('a.test').heard, ['10.0.0.1']);
    const other = watch('b.test');
    await other.last('ECONNREFUSED');
    await server.set({ 'a.test': ['10.0.0.2'], 'b.test': ['10.0.0.3'] });
    await server.start();
    await last('10.0.0.2');
    await other.last('10.0.0.3');
    assert.deepEqual(heard, ['10.0.0.1', '10.0.0.2']);
  });

  test('that hangs: a name used before gets its last addresses, although nobody watched it', async (context) => {
    const { server, resolver, watch } = await setUp(context, { 'a.test': ['10.0.0.1'] });
    const first = watch('a.test');
    await first.last('10.0.0.1');
    first.close();
    server.freeze();
    await until('the addresses to expire', () => resolver.describe('a.test')?.expiresInMs === 0);
    const second = watch('a.test');
    assert.deepEqual(second.heard, []);
    await second.last('10.0.0.1');
    assert.equal(resolver.inFlight, 1);
    await server.set({ 'a.test': ['10.0.0.2'] });
    await second.last('10.0.0.2');
  });

  test('that is down is passed over', async (context) => {
    const other = await DnsServer.start({ 'a.test': ['10.0.0.1'] });
    context.after(() => other.remove());
    await other.kill();
    const { server, watch } = await setUp(context, { 'a.test': ['10.0.0.2'] });
    const both = systemResolver({
      settings: { servers: [other.address, server.address], ttlSecondsMin: 1, ttlSecondsMax: 60, timeoutSeconds: 5 },
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      onInternalError: () => {},
    });
    context.after(() => both.close());
    const heard: string[] = [];
    both.watch('a.test', {
      onAddresses: (addresses) => void heard.push(...addresses),
      onFailed: ({ code }) => void heard.push(code),
    });
    await until('the other server to reply', () => heard.length > 0);
    assert.deepEqual(heard, ['10.0.0.2']);
    watch('a.test').close();
  });
});
