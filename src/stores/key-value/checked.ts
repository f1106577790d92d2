import type { Store } from '../contract.ts';

/** The store if `check` succeeds. Otherwise it is closed. @throws what `check` throws. */
export async function checked(store: Store, check: () => Promise<unknown>): Promise<Store> {
  try {
    await check();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}
