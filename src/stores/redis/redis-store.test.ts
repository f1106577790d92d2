import { test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { describeStore } from '../contract.suite.ts';
import { Watch } from '../watch.suite.ts';
import { redisLocation } from './redis.suite.ts';
import { openRedis } from './redis-store.ts';

describeStore('redis', async () => {
  const server = await RedisServer.start();
  return redisLocation(server, [server.url]);
});

describeStore('redis, with a prefix and a database, as a proxy opens it', async () => {
  const server = await RedisServer.start();
  const options = { prefix: 'a*[:', cli: ['-n', '3'], store: { serving: true } };
  return redisLocation(server, [`${server.url}/3#a*[:`], options);
});

describeStore('redis, through its socket', async () => {
  const server = await RedisServer.start();
  return redisLocation(server, [`redis+unix://${server.socket}?db=2`], { cli: ['-n', '2'] });
});

test('the connection for writing is open before the first mark', async (t) => {
  const server = await RedisServer.start();
  const store = await openRedis([server.url], { serving: true });
  t.after(async () => {
    await store.close();
    await server.remove();
  });
  await store.watch(new Watch());
  const connections = async () => (await server.cli('client', 'list')).split('\n').length;
  // One to read, one to write, and that of redis-cli itself.
  await until('both connections', async () => (await connections()) === 3);
});
