import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MemcachedServer } from '../../../test/helpers/memcached-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { describeStore, type StoreLocation } from '../contract.suite.ts';
import { Watch } from '../watch.suite.ts';
import { KeyRing } from './key-ring.ts';
import { openMemcached } from './memcached-store.ts';

/** A place for the contract's suite. @param prefix as it stands before the keys. */
async function location(count: number, prefix = '', serving = false): Promise<StoreLocation> {
  const servers: MemcachedServer[] = [];
  for (let i = 0; i < count; i++) servers.push(await MemcachedServer.start('-I', '4m'));
  const ring = new KeyRing(servers.map(({ port }) => ({ host: '127.0.0.1', port })));
  const set = async (name: string, value: string): Promise<void> => {
    const key = prefix + name;
    await servers[count === 1 ? 0 : ring.serverOf(key)]?.set(key, value);
  };
  return {
    open: () =>
      openMemcached(
        servers.map(({ url }, i) => (i === 0 && prefix !== '' ? `${url}#${prefix}` : url)),
        { ttlMs: 20, serving },
      ),
    writeRaw: (pattern, record) => set(`frontend:${pattern}`, JSON.stringify(record)),
    oddElements: true,
    lists: false,
    findsDue: false,
    changes: 'expiry',
    writeBroken: ['text', '{"id": "http://a:1"}', ''].map(
      (value) => (pattern: string) => set(`frontend:${pattern}`, value),
    ),
    writeBrokenCertificate: ['text', '{"certificate": "alone"}'].map(
      (value) => (pattern: string) => set(`tls:${pattern}`, value),
    ),
    writeRawOption: (pattern, name, value) => set(`options:${pattern}`, JSON.stringify({ [name]: value })),
    writeBrokenOptions: ['text', '[]', '"text"', '{"balance": {}}', ''].map(
      (value) => (pattern: string) => set(`options:${pattern}`, value),
    ),
    async dispose() {
      for (const server of servers) await server.stop();
    },
  };
}

describeStore('memcached', () => location(1));

describeStore('memcached, a pool, with a prefix, as a proxy opens it', () => location(3, 'p*[:', true));

describe('memcached', () => {
  test('that is gone is lost, and is used again once it is back', async (t) => {
    const server = await MemcachedServer.start();
    t.after(() => server.stop());
    const timings = { retryFirstMs: 10, retryMaxMs: 50, replyTimeoutMs: 300 };
    const store = await openMemcached([server.url], { serving: true, ttlMs: 20, timings });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    await store.routes.set('a.test', null, ['http://a:1']);
    const lost = seen.event('lost');
    await server.stop();
    await lost;
    await assert.rejects(store.routes.read(['a.test']), { code: 'STORE_UNAVAILABLE', source: 'store' });
    const restored = seen.event('restored');
    await server.start();
    await restored;
    assert.deepEqual(await store.routes.read(['a.test']), [null]);
    const hangs = seen.event('lost');
    server.signal('SIGSTOP');
    await hangs;
    const again = seen.event('restored');
    server.signal('SIGCONT');
    await again;
  });

  test('that is not there is waited for by a proxy, and refused to a command', async (t) => {
    const server = await MemcachedServer.start();
    await server.stop();
    t.after(() => server.stop());
    await assert.rejects(openMemcached([server.url]), { code: 'STORE_UNAVAILABLE', message: /no server runs there/ });
    const store = await openMemcached([server.url], {
      serving: true,
      ttlMs: 20,
      timings: { retryFirstMs: 10, retryMaxMs: 20 },
    });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    assert.equal(seen.losses, 1);
    const restored = seen.event('restored');
    await server.start();
    await restored;
  });

  test('refuses records that are too large, and keys with blanks, with a reason', async (t) => {
    const server = await MemcachedServer.start();
    t.after(() => server.stop());
    const store = await openMemcached([server.url]);
    t.after(() => store.close());
    const urls = Array.from({ length: 9000 }, (_, i) => `http://${'x'.repeat(150)}-${i}.test`);
    await assert.rejects(store.routes.set('large.test', null, urls), { code: 'STORE_FULL', message: /memcached -I/ });
    await store.routes.set('a.test', null, ['http://a:1']);
    await assert.rejects(store.routes.read(['a b.test']), { code: 'STORE_UNSUPPORTED', message: /no blanks/ });
    const long = `${'x'.repeat(260)}.test`;
    await store.routes.set(long, null, ['http://a:1']);
    assert.equal((await store.routes.read([long]))[0]?.frontend[0], long);
  });

  test('keeps a note for its whole time to live, and about a second more', async (t) => {
    const server = await MemcachedServer.start();
    t.after(() => server.stop());
    const store = await openMemcached([server.url]);
    t.after(() => store.close());
    await Promise.all(
      [0, 200, 400, 600, 800].map(async (afterMs) => {
        await delay(afterMs);
        const startMs = performance.now();
        await store.notes.write(`${afterMs}`, 'x', { ttlMs: 1000 });
        await until('its end', async () => (await store.notes.read(`${afterMs}`)) === null);
        const lastedMs = performance.now() - startMs;
        assert.ok(lastedMs > 990, String(lastedMs));
      }),
    );
  });

  test('forgets marks that have ended', async (t) => {
    const server = await MemcachedServer.start();
    t.after(() => server.stop());
    const store = await openMemcached([server.url]);
    t.after(() => store.close());
    await store.routes.set('a.test', null, ['http://a:1', 'http://b:1']);
    const nowMs = Date.now();
    const mark = { untilMs: nowMs + 1000, sinceMs: nowMs, reason: 'x', instance: 'y' };
    await store.marks.write('a.test', 'http://a:1', mark);
    assert.equal((await store.routes.read(['a.test']))[0]?.down.size, 1);
    await until('the end of the mark', async () => (await store.routes.read(['a.test']))[0]?.down.size === 0);
  });
});
