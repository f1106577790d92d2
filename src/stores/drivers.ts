import { HipacheError } from '../base/errors.ts';
import { nearestWord } from '../base/nearest.ts';
import type { DriverUrls, StoreDriver } from './driver.ts';
import { splitDriverUrl } from './driver-url.ts';
import { etcdDriver } from './etcd/driver.ts';
import { fileDriver } from './file/driver.ts';
import { memcachedDriver } from './memcached/driver.ts';
import { packagedDriver, packageOf } from './packaged-driver.ts';
import { redisDriver } from './redis/driver.ts';
import { sqliteDriver } from './sqlite/driver.ts';
import { zooKeeperDriver } from './zookeeper/driver.ts';

/** Every driver of this version. */
const drivers: readonly StoreDriver[] = [
  sqliteDriver,
  fileDriver,
  redisDriver,
  etcdDriver,
  memcachedDriver,
  zooKeeperDriver,
];

/** How to write the URL of each store, for messages. */
export const driverForms: readonly string[] = drivers.map(({ form }) => form);

/**
 * Finds the driver of one store.
 * @param value a URL, or Hipache's array of one or several.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED.
 */
export function findDriver(value: string | readonly string[]): {
  readonly driver: StoreDriver;
  readonly urls: DriverUrls;
} {
  const [first, ...others] = typeof value === 'string' ? [value] : value;
  if (first === undefined) {
    throw new HipacheError('COMMAND_INVALID', 'driver: an empty array; at least one URL is needed');
  }
  const driver = driverOf(first);
  if (others.some((url) => driverOf(url) !== driver)) {
    throw new HipacheError('STORE_UNSUPPORTED', 'driver: several URLs of different stores; one store is supported');
  }
  return { driver, urls: [first, ...others] };
}

function driverOf(url: string): StoreDriver {
  const { scheme } = splitDriverUrl(url);
  const driver = drivers.find(({ schemes }) => schemes.includes(scheme)) ?? packagedDriver(scheme);
  if (driver !== null) return driver;
  const near = nearestWord(
    scheme,
    drivers.flatMap(({ schemes }) => schemes),
  );
  throw new HipacheError(
    'STORE_UNSUPPORTED',
    `driver: ${scheme}: is not a known store${near === null ? '' : ` (did you mean ${near}:?)`}; supported are ` +
      `${new Intl.ListFormat('en').format(driverForms)}; a package ${packageOf(scheme)} would add it`,
  );
}
