import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { Watch } from '../watch.suite.ts';
import { openRedis } from './redis-store.ts';

test('Redis remembers nothing of what is read, and reports every change of a record', async (t) => {
  const server = await RedisServer.start({ config: ['tracking-table-max-keys 10'] });
  t.after(() => server.remove());
  const hosts = Array.from({ length: 60 }, (_, i) => `${i}.example`);
  for (const host of hosts) await server.cli('rpush', `frontend:${host}`, 'id', 'http://a:1');
  const store = await openRedis([server.url], { serving: true });
  t.after(() => store.close());
  const seen = new Watch();
  await store.watch(seen);
  await store.routes.read([...hosts, 'unknown.example']);
  await store.certificates.read(hosts);
  assert.match(await server.cli('info', 'stats'), /tracking_total_keys:0\r?\n/);
  const [route, certificate] = [seen.next('routes', '59.example'), seen.next('certificates', '0.example')];
  const options = [seen.next('options', '3.example'), seen.next('options', 'never-read.example')];
  await server.cli('set', 'other', 'value');
  await server.cli('lset', 'frontend:0.example', '0', 'new');
  await server.cli('rpush', 'frontend:never-read.example', 'id', 'http://a:1');
  await server.cli('hset', 'tls:0.example', 'key', 'x');
  await server.cli('sadd', 'dead:1.example', '0');
  await server.cli('hset', 'down:2.example', 'http://a:1', 'x');
  await server.cli('hset', 'options:3.example', 'requestsMax', '1');
  await server.cli('hset', 'options:never-read.example', 'requestsMax', '1');
  await server.cli('del', 'frontend:59.example');
  await Promise.all([route, certificate, ...options]);
  const removed = seen.next('options', '3.example');
  await server.cli('del', 'options:3.example');
  await removed;
  const changed = ['0', '1', '2', '59', 'never-read'].map((name) => `${name}.example`);
  assert.deepEqual([...new Set(seen.routes)].sort(), changed);
});

test('a change is reported before the revision that it made is read, however many there are', async (t) => {
  const server = await RedisServer.start();
  t.after(() => server.remove());
  const store = await openRedis([server.url], { serving: true });
  t.after(() => store.close());
  const seen = new Watch();
  await store.watch(seen);
  const writers = Array.from({ length: 20 }, () => connect({ host: '127.0.0.1', port: server.port, noDelay: true }));
  for (const writer of writers) writer.resume();
  t.after(() => {
    for (const writer of writers) writer.destroy();
  });
  const { instances } = store;
  assert.ok(instances);
  let written = 0;
  let revision = 0;
  while (revision < 50_000) {
    // Redis takes 16 KiB from each connection in a turn of its loop, and reports all changes of the turn after its replies.
    for (const writer of written < 50_000 ? writers : []) {
      const commands = Array.from(
        { length: 250 },
        () => `RPUSH frontend:${written++}.example i u\r\nINCR hipache:revision\r\n`,
      );
      writer.write(commands.join(''));
    }
    const readings = Array.from({ length: 20 }, async () => {
      revision = await instances.revision();
      assert.ok(seen.routes.length >= revision, `${seen.routes.length} changes are reported at revision ${revision}`);
    });
    await Promise.all(readings);
  }
});
