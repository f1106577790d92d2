import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { idOf } from '../../route-cache/route-cache.suite.ts';
import { RouteCache } from '../../route-cache/route-cache.ts';
import { StoreWatch } from '../../route-cache/store-watch.ts';
import { Watch } from '../watch.suite.ts';
import type { RedisTimings } from './connection.ts';
import { openRedis } from './redis-store.ts';

const timings: RedisTimings = {
  connectTimeoutMs: 2000,
  pingEveryMs: 20,
  replyTimeoutMs: 500,
  retryFirstMs: 5,
  retryMaxMs: 20,
  replicaTimeoutMs: 5000,
};

/** A cache on the store of a server, as a proxy has it. */
async function serve(t: TestContext, server: RedisServer) {
  const log: string[] = [];
  const note = (message: string, fields: object = {}) =>
    void log.push(`${message} ${Object.values(fields).map(String).join(' ')}`);
  const store = await openRedis([server.url], { serving: true, timings, log: { info: note, warn: note } });
  const watch = new StoreWatch({ store, log: { info: note, warn: note } });
  const cache = new RouteCache({ store, instance: 'test' });
  watch.add(cache);
  const seen = new Watch();
  watch.add(seen);
  await watch.start();
  t.after(async () => {
    watch.close();
    cache.close();
    await store.close();
  });
  const servesSoon = (host: string, id: string | null) =>
    until(`${host} to be served as ${id}`, async () => {
      const frontend = cache.cached(host);
      return idOf(frontend === undefined ? await cache.load(host) : frontend) === id;
    });
  return { store, watch, cache, seen, log, servesSoon };
}

describe('redis, outages', () => {
  test('killed and started again: what is known is served throughout, what has changed is seen', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    await server.cli('rpush', 'frontend:a.example', 'old', 'http://a:1');
    const { cache, seen, watch, servesSoon, log } = await serve(t, server);
    await servesSoon('a.example', 'old');
    const lost = seen.event('lost');
    await server.kill();
    await lost;
    assert.equal(idOf(cache.cached('a.example')), 'old');
    await assert.rejects(cache.load('unknown.example'), { code: 'STORE_UNAVAILABLE', source: 'store' });
    await until('it to be tried again', () => log.some((line) => line.includes('no server runs there')));
    const restored = seen.event('restored');
    await server.start();
    await restored;
    await servesSoon('a.example', null);
    await server.cli('rpush', 'frontend:a.example', 'new', 'http://a:1');
    await servesSoon('a.example', 'new');
    assert.equal(watch.connected, true);
  });

  test('hung: what is known is served throughout, what has changed is seen', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    await server.cli('rpush', 'frontend:a.example', 'old', 'http://a:1');
    const { cache, seen, servesSoon } = await serve(t, server);
    await servesSoon('a.example', 'old');
    const lost = seen.event('lost');
    server.freeze();
    // Made while it hangs: it is what the server finds first when it goes on.
    const changed = server.cli('lset', 'frontend:a.example', '0', 'new');
    assert.equal(idOf(cache.cached('a.example')), 'old');
    await lost;
    assert.equal(idOf(cache.cached('a.example')), 'old');
    await assert.rejects(cache.load('unknown.example'), { code: 'STORE_UNAVAILABLE', message: /has not replied/ });
    const restored = seen.event('restored');
    server.thaw();
    await Promise.all([changed, restored]);
    await servesSoon('a.example', 'new');
  });

  test('its password changed: what is known is served throughout, what has changed is seen', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    await server.cli('rpush', 'frontend:a.example', 'old', 'http://a:1');
    const { cache, seen, servesSoon, log, store } = await serve(t, server);
    await servesSoon('a.example', 'old');
    const lost = seen.event('lost');
    await server.cli('config', 'set', 'requirepass', 'changed');
    await server.cli('-a', 'changed', '--no-auth-warning', 'client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await lost;
    await until('the log to say why', () => log.some((line) => /wants a password/.test(line)));
    assert.equal(idOf(cache.cached('a.example')), 'old');
    await assert.rejects(store.routes.set('b.example', null, []), { code: 'STORE_DENIED' });
    await server.cli('-a', 'changed', '--no-auth-warning', 'lset', 'frontend:a.example', '0', 'new');
    const restored = seen.event('restored');
    await server.cli('-a', 'changed', '--no-auth-warning', 'config', 'set', 'requirepass', '');
    await restored;
    await servesSoon('a.example', 'new');
    assert.equal(log.filter((line) => /wants a password/.test(line)).length, 1, 'said once');
  });

  test('not there at the start: serving waits for it, a command does not', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    await server.kill();
    await assert.rejects(openRedis([server.url]), { code: 'STORE_UNAVAILABLE', message: /no server runs there/ });
    const { cache, watch, log, servesSoon, seen } = await serve(t, server);
    assert.equal(watch.connected, false);
    assert.equal(log.filter((line) => line.includes('no server runs there')).length >= 1, true);
    await assert.rejects(cache.load('a.example'), { code: 'STORE_UNAVAILABLE', message: /no server runs there/ });
    const restored = seen.event('restored');
    await server.start();
    await restored;
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1');
    await servesSoon('a.example', 'id');
    await server.cli('lset', 'frontend:a.example', '0', 'changed');
    await servesSoon('a.example', 'changed');
  });

  test('still loading its data: that is said, and it is waited for', async (t) => {
    const server = await RedisServer.start({
      config: ['key-load-delay 20000', 'loading-process-events-interval-bytes 1024'],
    });
    t.after(() => server.remove());
    for (let i = 0; i < 50; i++) await server.cli('set', `padding-${i}`, 'x'.repeat(2000));
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1');
    await server.cli('save');
    await server.kill();
    const started = server.start();
    const { servesSoon, watch, log } = await serve(t, server);
    await until('the log to say that it loads', () => log.some((line) => /still loading its data/.test(line)));
    await until('it to be connected', () => watch.connected);
    await started;
    await servesSoon('a.example', 'id');
  });

  test('a write that meets a hung server fails, and those after it are made once it goes on', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    const { store } = await serve(t, server);
    await store.routes.set('a.example', null, ['http://a:1']);
    server.freeze();
    await assert.rejects(store.routes.set('a.example', null, ['http://b:1']), { code: 'STORE_UNAVAILABLE' });
    server.thaw();
    await until('writes to succeed', async () => {
      try {
        await store.routes.add('a.example', ['http://c:1']);
        return true;
      } catch {
        return false;
      }
    });
    const [host] = await openRedis([server.url]).then(async (other) => {
      const hosts = await other.routes.read(['a.example']);
      await other.close();
      return hosts;
    });
    assert.ok(host?.frontend.includes('http://c:1'));
  });

  test('a connection that comes back tracks what is read on it, and all of that', async (t) => {
    const server = await RedisServer.start();
    t.after(() => server.remove());
    const { seen, servesSoon } = await serve(t, server);
    for (let round = 0; round < 5; round++) {
      await server.cli('del', 'frontend:a.example');
      await server.cli('rpush', 'frontend:a.example', `round ${round}`);
      await servesSoon('a.example', `round ${round}`);
      const lost = seen.event('lost');
      const restored = seen.event('restored');
      await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
      await Promise.all([lost, restored]);
    }
  });
});
