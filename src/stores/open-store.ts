import type { Store } from './contract.ts';
import type { DriverContext, OpenStoreOptions, StoreDescription } from './driver.ts';
import { findDriver } from './drivers.ts';

/**
 * Opens the store that driver URLs name. Only now is the code of its driver loaded, so that unused drivers cost nothing.
 * @param driver a URL, or Hipache's array of one or several.
 * @throws HipacheError as `describeDriver`, or what keeps the driver from opening the store.
 */
export async function openStore(driver: string | readonly string[], options: OpenStoreOptions = {}): Promise<Store> {
  const found = findDriver(driver);
  return found.driver.open(found.urls, options);
}

/**
 * Describes the store that driver URLs name, without opening it.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED where this version cannot open it.
 */
export function describeDriver(driver: string | readonly string[], context: DriverContext = {}): StoreDescription {
  const found = findDriver(driver);
  return found.driver.describe(found.urls, context);
}
