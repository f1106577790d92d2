import type { Config } from '../config/config.ts';
import { describeDriver, openStore } from '../stores/open-store.ts';

/**
 * Makes sure that the file of the store can be used, as the user of this process; workers go on trying, and create no
 * file. Servers may come later.
 * @throws HipacheError with source `store`.
 */
export async function prepareStore({ driver }: Config, options: { readonly create: boolean }): Promise<void> {
  const { files, readFiles = [] } = describeDriver(driver);
  if (files.length + readFiles.length === 0) return;
  const store = await openStore(driver, options);
  await store.close();
}
