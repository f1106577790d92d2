import { createRequire } from 'node:module';
import { HipacheError } from '../base/errors.ts';
import type { StoreDriver } from './driver.ts';
import { collectionOf, recordKey } from './key-value/client.ts';
import { keyValueCollections } from './key-value/collections.ts';

/** A driver in another package is given these, and imports nothing of Hipache. */
export interface DriverKit {
  /** For errors: their code decides about exit codes and responses. */
  readonly HipacheError: typeof HipacheError;
  /** Makes the collections of a store from a client that reads, edits and lists texts by key. */
  readonly keyValueCollections: typeof keyValueCollections;
  readonly recordKey: typeof recordKey;
  /** The collection that a change of a kind of key is reported for. */
  readonly collectionOf: typeof collectionOf;
}

export const driverKit: DriverKit = { HipacheError, keyValueCollections, recordKey, collectionOf };

const load = createRequire(import.meta.url);
const found = new Map<string, StoreDriver>();

/**
 * The driver of a scheme that is in a package of its own, `hipache-store-<scheme>`, beside Hipache or in `NODE_PATH`. Its
 * default export makes the driver of a `DriverKit`.
 * @returns null if there is no such package.
 * @throws HipacheError STORE_UNSUPPORTED if the package is no driver of the scheme.
 */
export function packagedDriver(scheme: string): StoreDriver | null {
  const known = found.get(scheme);
  if (known !== undefined) return known;
  const name = packageOf(scheme);
  const fail = (problem: string, cause?: unknown): never => {
    throw new HipacheError('STORE_UNSUPPORTED', `driver: ${scheme}: the package ${name} ${problem}`, { cause });
  };
  let path: string;
  try {
    path = load.resolve(name);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
      ? null
      : fail(`cannot be found: ${(error as Error).message}`, error);
  }
  let driver: StoreDriver | undefined;
  try {
    const { default: make } = load(path) as { readonly default?: (kit: DriverKit) => StoreDriver };
    driver = make?.(driverKit);
  } catch (error) {
    return fail(`cannot be loaded: ${(error as Error).message}`, error);
  }
  const isDriver = typeof driver?.describe === 'function' && typeof driver.open === 'function';
  if (driver === undefined || !isDriver) return fail('has no default export that makes a driver');
  if (!driver.schemes?.includes(scheme)) return fail(`is a driver of other schemes: ${driver.schemes?.join(', ')}`);
  found.set(scheme, driver);
  return driver;
}

/** A scheme can have characters that the name of a package cannot. */
export function packageOf(scheme: string): string {
  return `hipache-store-${scheme.replaceAll(/[^a-z0-9-]/g, '-')}`;
}
