import { RedisClusterServers } from '../../../test/helpers/redis-cluster.ts';
import type { RedisServer } from '../../../test/helpers/redis-server.ts';
import { describeStore } from '../contract.suite.ts';
import { redisLocation } from './redis.suite.ts';

describeStore('redis, as a cluster', async () => {
  const cluster = await RedisClusterServers.start();
  const [first] = cluster.primaries as [RedisServer];
  return redisLocation(first, [cluster.url], { cli: ['-c'], dispose: () => cluster.remove() });
});
