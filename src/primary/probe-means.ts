import type { Log } from '../base/log.ts';
import type { RateLimitedLog } from '../base/rate-limited-log.ts';
import type { Config } from '../config/config.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { systemResolver } from '../dns/system-resolver.ts';
import type { Store } from '../stores/contract.ts';
import type { openStore } from '../stores/open-store.ts';
import { type BackendTls, backendTls } from '../tls/backend-tls.ts';

/** The part of the configuration by which backends are found and reached. */
export interface ProbeMeans {
  readonly store: Store;
  readonly resolver: NameResolver;
  readonly tls: BackendTls;
}

/** @throws HipacheError if the store or the files of the authorities cannot be opened. */
export async function openProbeMeans(
  config: Config,
  log: Log,
  problems: RateLimitedLog,
  open: typeof openStore,
): Promise<ProbeMeans> {
  const tls = backendTls(config.backendTls.ca, config.backendTls.verify, config.backendTls.alpn);
  const store = await open(config.driver, { serving: true, log, deadSet: config.compat.deadSet });
  const resolver = systemResolver({
    settings: config.dns,
    log,
    onInternalError: (error) => problems.report('internal error in the resolver of names', { error }),
  });
  return { store, resolver, tls };
}

/** Whether both configurations open the same; not if they name authorities, whose files may have other contents. */
export function haveSameMeans(one: Config, other: Config): boolean {
  const settingsOf = ({ driver, compat, backendTls: tls, dns }: Config): string =>
    JSON.stringify([driver, compat.deadSet, tls, dns]);
  return settingsOf(one) === settingsOf(other) && one.backendTls.ca.length === 0;
}

export async function closeProbeMeans({ resolver, store }: ProbeMeans): Promise<void> {
  resolver.close();
  await store.close();
}
