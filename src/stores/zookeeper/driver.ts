import type { StoreDriver } from '../driver.ts';
import { parseZooKeeperUrls } from './endpoints.ts';

/** A ZooKeeper ensemble: one URL with all servers, or several. */
export const zooKeeperDriver: StoreDriver = {
  schemes: ['zookeeper', 'zookeepers'],
  form: 'zookeeper://HOST:PORT',

  describe(urls) {
    return { name: parseZooKeeperUrls(urls).name, files: [], shared: true };
  },

  async open(urls, options) {
    const { openZooKeeper } = await import('./zookeeper-store.ts');
    if (options.deadSet === true) {
      options.log?.warn('compat.deadSet has no effect with zookeeper: marks of Hipache 0.4 are not seen');
    }
    return openZooKeeper(urls, options);
  },
};
