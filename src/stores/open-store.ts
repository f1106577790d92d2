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
 * Checks the store that driver URLs name as far as that is possible without opening it.
 * @returns the problems of single records.
 * @throws HipacheError why the store cannot be used.
 */
export async function checkDriver(
  driver: string | readonly string[],
  context: DriverContext = {},
): Promise<readonly string[]> {
  const found = findDriver(driver);
  return (await found.driver.check?.(found.urls, context)) ?? [];
}

/**
 * Describes the store that driver URLs name, without opening it.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED where this version cannot open it.
 */
export function describeDriver(driver: string | readonly string[], context: DriverContext = {}): StoreDescription {
  const found = findDriver(driver);
  return found.driver.describe(found.urls, context);
}
