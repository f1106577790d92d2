import { RedisCluster } from './cluster.ts';
import { ClusterWriter } from './cluster-writer.ts';
import { RedisConnection, type RedisConnectionEvents, type RedisTimings } from './connection.ts';
import type { RedisEndpoint, RedisEndpoints } from './endpoint.ts';
import { Sentinels } from './sentinels.ts';
import { RedisWriter } from './writer.ts';

/** The servers of one store: what reads from them and reports changes, and what writes to them. */
export interface RecordServers {
  readonly connection: RedisConnection | RedisCluster;
  readonly writer: Pick<RedisWriter, 'run' | 'open' | 'writeUncounted'>;
  close(): void;
}

export interface RecordServersOptions {
  readonly timings: RedisTimings;
  /** As `RedisConnectionOptions.tracking`. */
  readonly tracking: boolean;
  /** As `RedisConnectionOptions.reported`. */
  readonly reported: readonly string[];
  readonly revisionKey: string;
  readonly events: Omit<RedisConnectionEvents, 'userIgnored'>;
  /** Called when the revision is not a number. */
  readonly onProblem: (what: string) => void;
  /** As `RedisConnectionEvents.userIgnored`, of the connections to `endpoint`. */
  readonly onUserIgnored: (endpoint: RedisEndpoint) => void;
}

/** Starts to connect at once, for reading. */
export function connectServers(endpoints: RedisEndpoints, options: RecordServersOptions): RecordServers {
  const { timings, tracking, reported, revisionKey, onProblem } = options;
  const { reads, writes } = endpoints;
  const events = { ...options.events, userIgnored: () => options.onUserIgnored(reads) };
  if (reads.cluster !== null) {
    const cluster = new RedisCluster({ endpoint: reads, seeds: reads.cluster, timings, tracking, reported }, events);
    const writer = new ClusterWriter(cluster, revisionKey, onProblem);
    return { connection: cluster, writer, close: () => closeAll(writer, cluster) };
  }
  const sentinels =
    reads.sentinels === null
      ? null
      : new Sentinels(reads, reads.sentinels, timings.replyTimeoutMs, (problem) => {
          // The former primary may be cut off, and go on as if nothing had happened.
          connection.moved(problem);
          writer.moved();
        });
  const locate = sentinels === null ? undefined : () => sentinels.locate();
  const connection = new RedisConnection({ endpoint: reads, timings, tracking, reported, locate }, events);
  const onUserIgnored = () => options.onUserIgnored(writes);
  const writer = new RedisWriter({ endpoint: writes, timings, onUserIgnored, locate }, revisionKey, onProblem);
  return { connection, writer, close: () => closeAll(sentinels, writer, connection) };
}

function closeAll(...parts: readonly ({ close(): void } | null)[]): void {
  for (const part of parts) part?.close();
}
