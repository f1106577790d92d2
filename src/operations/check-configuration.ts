import { ErrorCollector } from '../base/error-collector.ts';
import type { LoadedConfig } from '../config/load.ts';
import { describeDriver } from '../stores/open-store.ts';
import { TlsKeeper } from '../tls/tls-state.ts';

export interface ConfigurationCheck {
  readonly warnings: readonly string[];
  /** Collects what the program would refuse to serve with. */
  readonly errors: ErrorCollector;
}

/** Checks what a configuration names outside of itself: certificates, keys, the kind of store. Opens no store. */
export async function checkConfiguration({ config, warnings }: LoadedConfig): Promise<ConfigurationCheck> {
  const found = [...warnings];
  const errors = new ErrorCollector();
  await errors.take(() => new TlsKeeper(config.https.bind, found, () => {}));
  await errors.take(() => describeDriver(config.driver));
  return { warnings: found, errors };
}
