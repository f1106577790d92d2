import { RedisClusterServers } from '../../../test/helpers/redis-cluster.ts';
import type { RedisServer } from '../../../test/helpers/redis-server.ts';
import { describeStore } from '../contract.suite.ts';
import { redisLocation, writerRights } from './redis.suite.ts';

describeStore('redis, as a cluster', async () => {
  const cluster = await RedisClusterServers.start();
  const [first] = cluster.primaries as [RedisServer];
  return redisLocation(first, [cluster.url], { cli: ['-c'], dispose: () => cluster.remove() });
});

describeStore('redis, as a cluster, as a user that has no more rights than needed', async () => {
  const config = [`user hipache on >secret ${writerRights} +cluster|nodes +asking`];
  const cluster = await RedisClusterServers.start({ config });
  const [first] = cluster.primaries as [RedisServer];
  const url = cluster.url.replace('//', '//hipache:secret@');
  return redisLocation(first, [url], { cli: ['-c'], store: { deadSet: true }, dispose: () => cluster.remove() });
});
