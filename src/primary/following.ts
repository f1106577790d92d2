import { availableParallelism } from 'node:os';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { logFileOf } from '../base/log-target.ts';
import { parseAdminBind } from '../config/admin.ts';
import type { Config } from '../config/config.ts';
import { clientProtocols } from '../config/listen.ts';
import type { LoadedConfig } from '../config/load.ts';
import { FileOwnership } from '../processes/file-ownership.ts';
import type { ListenAddress } from '../processes/messages.ts';
import type { RunAs } from '../processes/privileges.ts';
import { describeDriver } from '../stores/open-store.ts';
import { snapshotPath } from './snapshot.ts';

/* How a primary follows its configuration. */

export function workersOf({ server }: Config): number {
  // libuv's count respects the affinity of the process and the CPU quota of its control group.
  return server.workers === 'auto' ? availableParallelism() : server.workers;
}

const onlyHttp1 = ['http/1.1'];

/** Plain HTTP first, then TLS. */
export function listenAddressesOf({ http, https }: Config): ListenAddress[] {
  return [
    ...http.bind.map(({ h2c, ...bind }) => ({ ...bind, secure: false, protocols: h2c ? clientProtocols : onlyHttp1 })),
    ...https.bind.map(({ address, port, proxyProtocol, halfClose, alpn }) => ({
      ...{ address, port, proxyProtocol, halfClose, protocols: alpn },
      secure: true,
    })),
  ];
}

/** Keys that have changed and that workers cannot follow. */
export function needRestart(before: Config, after: Config): string[] {
  const keys = ['user', 'group', 'metrics'] as const;
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

export function logDiagnostics({ notes, warnings }: LoadedConfig, log: Log): void {
  for (const note of notes) log.info(note);
  for (const warning of warnings) log.warn(warning);
}

/** Files that the account writes to have to be its own before root is given up. */
export function transferFiles(config: Config, account: RunAs, log: Log): void {
  const { server, driver } = config;
  const ownership = new FileOwnership(account, (message) => log.warn(message));
  const logFile = logFileOf(server.accessLog);
  if (logFile !== null) ownership.giveFile(logFile);
  if (server.pidFile !== null) ownership.giveFile(server.pidFile);
  const { files, optionalFiles = [] } = describeDriver(driver);
  for (const file of files) ownership.give(file);
  const snapshot = snapshotPath(config);
  const ofSnapshot = snapshot === null ? [] : ['', '-wal', '-shm'].map((end) => snapshot + end);
  try {
    for (const file of [...optionalFiles, ...ofSnapshot]) ownership.give(file);
    const admin = parseAdminBind(config.admin.bind);
    if (admin?.kind === 'unix') ownership.giveDirectoryOf(admin.path);
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    log.warn(error.message);
  }
}
