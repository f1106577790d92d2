import { HipacheError } from '../../base/errors.ts';
import type { DriverContext, DriverUrls, StoreDriver } from '../driver.ts';
import { type FilePlace, parseFileUrl } from './file-url.ts';

/** Routes in a YAML or JSON file, for one machine. */
export const fileDriver: StoreDriver = {
  schemes: ['file'],
  form: 'file:PATH',

  describe(urls, context) {
    const { path, marksPath } = placeOf(urls, context);
    const marks = marksPath === null ? [] : [marksPath, `${marksPath}-wal`, `${marksPath}-shm`];
    return { name: path, files: [], readFiles: [path], optionalFiles: marks, shared: false };
  },

  async check(urls, context) {
    const { checkRoutesFile } = await import('./check.ts');
    return checkRoutesFile(placeOf(urls, context));
  },

  async open(urls, options) {
    const { openFileStore } = await import('./file-store.ts');
    return openFileStore(placeOf(urls, options), options);
  },
};

function placeOf([url, ...others]: DriverUrls, context: DriverContext): FilePlace {
  if (others.length === 0) return parseFileUrl(url, context);
  throw new HipacheError(
    'STORE_UNSUPPORTED',
    'driver: a routes file is one file; several URLs are not supported by it',
  );
}
