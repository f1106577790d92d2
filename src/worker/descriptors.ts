import { descriptorLimit, openDescriptors } from '../base/descriptors.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { connectionDescriptors } from './proxy-settings.ts';

/** Fewer connections than this are hardly enough for one browser and its backends. */
const connectionsMin = 64;

/** The connections that this process can have; warns if that is less than the configuration asks for, or next to none. */
export function descriptorsFor({ limits }: Config, log: Log): number {
  const limit = descriptorLimit();
  const connections = connectionDescriptors(limit, openDescriptors());
  log.debug('descriptors', { limit, connections });
  if (connections < connectionsMin) {
    log.warn(
      `too few descriptors: the limit of ${limit} leaves a worker ${connections} for connections of clients and backends together; raise it (ulimit -n, LimitNOFILE=)`,
    );
  } else if (limits.connectionsMax !== 'auto' && limits.connectionsMax > connections) {
    log.warn(
      `limits.connectionsMax is ${limits.connectionsMax}, but the limit of ${limit} descriptors (ulimit -n, LimitNOFILE) allows ${connections} connections of clients and backends together`,
    );
  }
  return connections;
}
