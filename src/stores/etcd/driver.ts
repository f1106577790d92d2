import type { StoreDriver } from '../driver.ts';
import { parseEtcdUrls } from './endpoints.ts';

/** A cluster of etcd 3: one URL, or one for each member. */
export const etcdDriver: StoreDriver = {
  schemes: ['etcd', 'etcds'],
  form: 'etcd://HOST:PORT',

  describe(urls) {
    return { name: parseEtcdUrls(urls).name, files: [], shared: true };
  },

  async open(urls, options) {
    const { openEtcd } = await import('./etcd-store.ts');
    if (options.deadSet === true) {
      options.log?.warn('compat.deadSet has no effect with etcd: marks of Hipache 0.4 are not seen');
    }
    return openEtcd(urls, options);
  },
};
