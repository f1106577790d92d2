import type { StoreDriver } from '../driver.ts';
import { parseRedisUrls } from './endpoint.ts';

/** One Redis server, the pair of a replica and its primary, a group with sentinels, or a cluster. */
export const redisDriver: StoreDriver = {
  schemes: ['redis', 'rediss', 'redis+unix', 'redis+sentinel', 'rediss+sentinel', 'redis+cluster', 'rediss+cluster'],
  form: 'redis://HOST:PORT',

  describe(urls) {
    const { reads, writes } = parseRedisUrls(urls);
    const name = reads === writes ? reads.name : `${reads.name}, ${writes.name}`;
    return { name, files: [], shared: true };
  },

  async open(urls, options) {
    const { openRedis } = await import('./redis-store.ts');
    return openRedis(urls, options);
  },
};
