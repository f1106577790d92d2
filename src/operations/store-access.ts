import type { Store } from '../stores/contract.ts';

export { driverForms } from '../stores/drivers.ts';

/** Where the store is, and how its dead sets are read. */
export interface StoreLocator {
  /** One driver URL, or Hipache's array of several. */
  readonly driver: readonly [string, ...string[]];
  /** `compat.deadSet` of the configuration. */
  readonly deadSet: boolean | 'auto';
}

/** Opens a store. If `create` is false and the store does not exist, it is not made. */
export type OpenStore = (
  driver: StoreLocator['driver'],
  options: { readonly create: boolean; readonly deadSet: boolean | 'auto' },
) => Promise<Store>;

/** A store that is open. */
export type OpenedStore = Awaited<ReturnType<OpenStore>>;
