import { HipacheError } from '../../base/errors.ts';
import type { DriverContext, DriverUrls, StoreDriver } from '../driver.ts';
import { parseSqliteUrl } from './sqlite-url.ts';

/** The embedded store: a SQLite file of one machine. */
export const sqliteDriver: StoreDriver = {
  schemes: ['sqlite'],
  form: 'sqlite:PATH',

  describe(urls, context) {
    const path = fileOf(urls, context);
    return { name: path, files: [path, `${path}-wal`, `${path}-shm`], shared: false };
  },

  async open(urls, options) {
    const path = fileOf(urls, options);
    const { openSqlite } = await import('./sqlite-store.ts');
    const { create, serving, refuseEmpty, pollMs } = options;
    return openSqlite(path, { create, serving, refuseEmpty, pollMs });
  },
};

function fileOf([url, ...others]: DriverUrls, context: DriverContext): string {
  if (others.length === 0) return parseSqliteUrl(url, context);
  throw new HipacheError('STORE_UNSUPPORTED', 'driver: sqlite is one file; several URLs are not supported by it');
}
