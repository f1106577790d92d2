import type { StoreDriver } from '../driver.ts';
import { parseRedisUrls } from './endpoint.ts';

/** One Redis server, or the pair of a replica and its primary. */
export const redisDriver: StoreDriver = {
  schemes: ['redis', 'rediss', 'redis+unix', 'redis+sentinel', 'rediss+sentinel'],
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
