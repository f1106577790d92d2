import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { describeStore } from '../contract.suite.ts';
import { redisLocation } from './redis.suite.ts';

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
