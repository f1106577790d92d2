import type { Log } from '../base/log.ts';
import type { Store } from './contract.ts';

/** The URLs of one store: Hipache's array. */
export type DriverUrls = readonly [string, ...string[]];

/** A kind of store. Its code is loaded when the first store of the kind is opened. */
export interface StoreDriver {
  /** The schemes of its URLs, in lower case. */
  readonly schemes: readonly string[];
  /** How to write one of its URLs, for messages: `sqlite:PATH`. */
  readonly form: string;
  /**
   * Describes a store without opening it.
   * @param urls all with one of `schemes`.
   * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED.
   */
  describe(urls: DriverUrls, context: DriverContext): StoreDescription;
  /**
   * Reads what a description names, without a change.
   * @returns the problems of single records.
   * @throws HipacheError why the store cannot be used.
   */
  check?(urls: DriverUrls, context: DriverContext): Promise<readonly string[]>;
  /** @throws HipacheError as `describe`; with source `store` where the store cannot be opened. */
  open(urls: DriverUrls, options: OpenStoreOptions): Promise<Store>;
}

export interface StoreDescription {
  /** The name of the store in messages, without a password. */
  readonly name: string;
  /** The files that the process has to own to use the store. A server needs none. */
  readonly files: readonly string[];
  /** The files that the process only has to read. Default: none. */
  readonly readFiles?: readonly string[];
  /** The files that the process writes if it can: it serves without them as well. Default: none. */
  readonly optionalFiles?: readonly string[];
  /** Whether instances on other machines can use the store as well. */
  readonly shared: boolean;
}

/** The defaults of a driver URL depend on these. An omitted field is that of the process. */
export interface DriverContext {
  /** Relative paths start here. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly userId?: number;
}

export interface OpenStoreOptions extends DriverContext {
  /** Whether to make a store file that does not exist. Default true, unless `serving`. */
  readonly create?: boolean;
  /**
   * Whether the proxy serves from the store. It then opens even if a server cannot be reached or a file cannot be used
   * yet; the driver keeps trying, and reads fail meanwhile. Otherwise opening fails. Default false.
   */
  readonly serving?: boolean;
  /**
   * Whether the store is known to have had records: when `serving`, a file that has never had one is then not the one,
   * and opens once it has. Default false.
   */
  readonly refuseEmpty?: boolean;
  /** Receives the problems of a server while it is open. */
  readonly log?: Pick<Log, 'info' | 'warn'>;
  /** `compat.deadSet` of the configuration. Default `auto`. */
  readonly deadSet?: boolean | 'auto';
  /** How long a reading holds if the store cannot report changes, in ms. Default 1000. */
  readonly ttlMs?: number;
  /**
   * Between two looks for changes in a store that has to be looked at, in ms. Default 10. Redis and etcd are then asked for
   * their revision at this interval, and report nothing else; default: they report every change.
   */
  readonly pollMs?: number;
}
