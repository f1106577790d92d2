import { HipacheError } from '../base/errors.ts';
import type { Store } from './contract.ts';
import { type DriverUrlContext, parseDriverUrl } from './driver-url.ts';

export interface OpenStoreOptions extends DriverUrlContext {
  /** Whether a store file that is not there is made. Default true. */
  readonly create?: boolean;
}

/** Protocols of Hipache's configuration files that have no driver yet. */
const notYet = new Set(['redis', 'etcd', 'memcached', 'zookeeper', 'file']);

/**
 * Opens the store that a driver URL names. The driver is loaded only now, so that none costs anything unused.
 * @param driver a URL, or Hipache's array of one or several.
 * @throws HipacheError as `checkDriver`, or what the driver has to say.
 */
export async function openStore(driver: string | readonly string[], options: OpenStoreOptions = {}): Promise<Store> {
  const path = checkDriver(driver, options);
  const { openSqlite } = await import('./sqlite.ts');
  return openSqlite(path, { create: options.create ?? true });
}

/**
 * The file of the store that a driver URL names, without opening it.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED.
 */
export function checkDriver(driver: string | readonly string[], context: DriverUrlContext = {}): string {
  const urls = typeof driver === 'string' ? [driver] : driver;
  const [first, ...others] = urls.map((url) => parseDriverUrl(url, context));
  if (first === undefined)
    throw new HipacheError('COMMAND_INVALID', 'driver: an empty array; at least one URL is needed');
  for (const url of [first, ...others]) {
    if (url.protocol !== 'sqlite') throw unsupported(url.protocol);
  }
  if (first.path === null || others.length > 0) {
    throw new HipacheError('STORE_UNSUPPORTED', 'driver: sqlite is one file; several URLs are not supported by it');
  }
  return first.path;
}

function unsupported(protocol: string): HipacheError {
  const problem = notYet.has(protocol) ? 'is not supported by this version yet' : 'is not a known store';
  return new HipacheError('STORE_UNSUPPORTED', `driver: ${protocol}: ${problem}; supported is sqlite:PATH`);
}
