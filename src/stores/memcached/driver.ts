import type { StoreDriver } from '../driver.ts';
import { parseMemcachedUrls } from './endpoints.ts';

/** A memcached server, or a pool of several. */
export const memcachedDriver: StoreDriver = {
  schemes: ['memcached', 'memcacheds'],
  form: 'memcached://HOST:PORT',

  describe(urls) {
    return { name: parseMemcachedUrls(urls).name, files: [], shared: true };
  },

  async open(urls, options) {
    const { openMemcached } = await import('./memcached-store.ts');
    if (options.deadSet === true) {
      options.log?.warn('compat.deadSet has no effect with memcached: marks of Hipache 0.4 are not seen');
    }
    return openMemcached(urls, options);
  },
};
