import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { openRedis } from './redis-store.ts';

test('after a fail-over, writes find the new primary although the former one keeps the connection', async (t) => {
  const [former, next] = [await RedisServer.start(), await RedisServer.start()];
  await next.cli('replicaof', '127.0.0.1', String(former.port));
  await until('the replica', async () => (await next.cli('info', 'replication')).includes('master_link_status:up'));
  // An address that leads to the primary, as of a virtual IP or a name.
  let { port } = former;
  const sockets = new Set<Socket>();
  const address = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  address.listen(0, '127.0.0.1');
  await once(address, 'listening');
  const at = address.address();
  assert.ok(typeof at === 'object' && at !== null);
  const store = await openRedis([`redis://127.0.0.1:${at.port}`], { serving: true });
  t.after(async () => {
    await store.close();
    for (const socket of sockets) socket.destroy();
    address.close();
    await former.remove();
    await next.remove();
  });
  await store.routes.set('a.example', null, ['http://a:1']);
  await next.cli('replicaof', 'no', 'one');
  await former.cli('replicaof', '127.0.0.1', String(next.port));
  port = next.port;
  await store.routes.set('a.example', null, ['http://b:1']);
  assert.match(await next.cli('lrange', 'frontend:a.example', '0', '-1'), /http:\/\/b:1/);
  // Without a primary behind the address, the reason is the same as before.
  port = former.port;
  for (const socket of sockets) socket.destroy();
  await until('the reason', async () => {
    const written = store.routes.set('a.example', null, ['http://c:1']).then(() => 'written');
    return (await written.catch(({ code }: { code: string }) => code)) === 'STORE_READ_ONLY';
  });
});
