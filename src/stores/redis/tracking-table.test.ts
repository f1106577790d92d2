import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { RouteCache } from '../../route-cache/route-cache.ts';
import { StoreWatch } from '../../route-cache/store-watch.ts';
import { openRedis } from './redis-store.ts';

async function serve(url: string) {
  const log: string[] = [];
  const store = await openRedis([url], { serving: true });
  const watch = new StoreWatch({ store });
  const cache = new RouteCache({ store, instance: 'test', log: { warn: (message) => void log.push(message) } });
  watch.add(cache);
  await watch.start();
  const close = async (): Promise<void> => {
    watch.close();
    cache.close();
    await store.close();
  };
  return { cache, log, close };
}

test('with more hosts than the tracking table has room for, Redis comes to rest, and the log names the setting', async (t) => {
  const server = await RedisServer.start({ config: ['tracking-table-max-keys 10'] });
  t.after(() => server.remove());
  const hosts = Array.from({ length: 60 }, (_, i) => `${i}.example`);
  for (const host of hosts) await server.cli('rpush', `frontend:${host}`, 'id', 'http://a:1');
  const { cache, log, close } = await serve(server.url);
  t.after(close);
  // Requests for all of them, all the time, until the pattern is clear.
  await until('the log to say so', async () => {
    await Promise.all(hosts.map((host) => cache.cached(host) ?? cache.load(host)));
    return log.length > 0;
  });
  assert.match(
    log[0] ?? '',
    /tracking-table-max-keys of Redis is too small: it is 10, and this worker .* about \d+ keys/,
  );
  const commands = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(await server.cli('info', 'stats'))?.[1]);
  // Without requests nothing is read; what is left are pings, and the commands of this test.
  await until('Redis to be at rest', async () => {
    const before = await commands();
    for (let count = 0; count < 5; count++) await server.cli('ping');
    return (await commands()) - before < 20;
  });
  await server.cli('lset', 'frontend:0.example', '0', 'new');
  await until('a change', async () => (cache.cached('0.example') ?? (await cache.load('0.example')))?.id === 'new');
  assert.equal(log.length, 1);
});

test('the setting is named to a user that may not read it', async (t) => {
  const server = await RedisServer.start({
    config: ['tracking-table-max-keys 10', 'user poor on >secret ~* +@all -config -info'],
  });
  t.after(() => server.remove());
  const store = await openRedis([`redis://poor:secret@127.0.0.1:${server.port}`]);
  t.after(() => store.close());
  assert.match(
    (await store.whyUnchanged?.(100)) ?? '',
    /tracking-table-max-keys of Redis is probably too small.*200 keys/,
  );
});

test('another reason is assumed if the table has room', async (t) => {
  const server = await RedisServer.start();
  t.after(() => server.remove());
  const store = await openRedis([server.url]);
  t.after(() => store.close());
  assert.match((await store.whyUnchanged?.(100)) ?? '', /equal keys of another database/);
});
