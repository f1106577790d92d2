import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from './contract.ts';
import { type DriverUrlContext, parseDriverUrl } from './driver-url.ts';
import { parseRedisUrls } from './redis/endpoint.ts';

export interface OpenStoreOptions extends DriverUrlContext {
  /** Whether a store file that is not there is made. Default true. */
  readonly create?: boolean;
  /**
   * Whether the store is one to serve from: a server that cannot be reached is then waited for, for ever, while reads
   * fail; else opening fails. A file that cannot be opened always fails. Default false.
   */
  readonly serving?: boolean;
  /** Told what goes wrong with a server in the meantime. */
  readonly log?: Pick<Log, 'info' | 'warn'>;
  /** `compat.deadSet` of the configuration. Default `auto`. */
  readonly deadSet?: boolean | 'auto';
  /** How long what was read holds where the store cannot tell of changes, in ms. Default 1000. */
  readonly ttlMs?: number;
}

/** Where a driver URL leads. */
type Place =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'redis'; readonly urls: readonly string[] };

/** Protocols of Hipache's configuration files that have no driver yet. */
const notYet = new Set(['etcd', 'memcached', 'zookeeper', 'file']);

/**
 * Opens the store that a driver URL names. The driver is loaded only now, so that none costs anything unused.
 * @param driver a URL, or Hipache's array of one or several.
 * @throws HipacheError as `checkDriver`, or what the driver has to say.
 */
export async function openStore(driver: string | readonly string[], options: OpenStoreOptions = {}): Promise<Store> {
  const place = findPlace(driver, options);
  if (place.kind === 'sqlite') {
    const { openSqlite } = await import('./sqlite/sqlite-store.ts');
    return openSqlite(place.path, { create: options.create ?? true });
  }
  const { openRedis } = await import('./redis/redis-store.ts');
  return openRedis(place.urls, options);
}

/**
 * Checks that a driver URL names a store that this version has, without opening it.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED.
 */
export function checkDriver(driver: string | readonly string[], context: DriverUrlContext = {}): void {
  findPlace(driver, context);
}

function findPlace(driver: string | readonly string[], context: DriverUrlContext): Place {
  const urls = typeof driver === 'string' ? [driver] : driver;
  const [first, ...others] = urls.map((url) => parseDriverUrl(url, context));
  if (first === undefined)
    throw new HipacheError('COMMAND_INVALID', 'driver: an empty array; at least one URL is needed');
  for (const { protocol } of [first, ...others]) {
    if (protocol !== 'sqlite' && !isRedis(protocol)) throw unsupported(protocol);
    if (isRedis(protocol) !== isRedis(first.protocol)) {
      throw new HipacheError('STORE_UNSUPPORTED', 'driver: several URLs of different stores; one store is supported');
    }
  }
  if (isRedis(first.protocol)) {
    parseRedisUrls(urls);
    return { kind: 'redis', urls };
  }
  if (first.path === null || others.length > 0) {
    throw new HipacheError('STORE_UNSUPPORTED', 'driver: sqlite is one file; several URLs are not supported by it');
  }
  return { kind: 'sqlite', path: first.path };
}

function isRedis(protocol: string): boolean {
  return protocol === 'redis' || protocol === 'redis+unix';
}

function unsupported(protocol: string): HipacheError {
  const problem = notYet.has(protocol) ? 'is not supported by this version yet' : 'is not a known store';
  return new HipacheError(
    'STORE_UNSUPPORTED',
    `driver: ${protocol}: ${problem}; supported are sqlite:PATH and redis://HOST:PORT`,
  );
}
