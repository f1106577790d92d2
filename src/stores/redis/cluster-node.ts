import { hostPort } from '../../base/host-port.ts';
import type { HostAndPort } from '../driver-url.ts';
import { RedisConnection, type RedisConnectionEvents, type RedisTimings } from './connection.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { WriteConnection } from './write-connection.ts';

export interface ClusterNodeOptions {
  /** The endpoint of the cluster. */
  readonly endpoint: RedisEndpoint;
  readonly address: HostAndPort;
  readonly timings: RedisTimings;
  readonly tracking: boolean;
  readonly reported: readonly string[];
}

/** One primary of a cluster: the connection that reads, and reports changes of what it has read, and the one that writes. */
export class ClusterNode {
  readonly reads: RedisConnection;
  readonly writes: WriteConnection;

  /** Starts to connect at once, for reading. */
  constructor({ endpoint, address, timings, tracking, reported }: ClusterNodeOptions, events: RedisConnectionEvents) {
    const own = nodeEndpoint(endpoint, address);
    this.reads = new RedisConnection({ endpoint: own, timings, tracking, reported }, events);
    this.writes = new WriteConnection({ endpoint: own, timings, onUserIgnored: () => events.userIgnored() });
  }

  get name(): string {
    return this.reads.endpoint.name;
  }

  /** Pending reads and writes fail. */
  close(): void {
    this.reads.close();
    this.writes.close();
  }
}

/** The endpoint of one node: the account is that of the cluster. */
export function nodeEndpoint(cluster: RedisEndpoint, { host, port }: HostAndPort): RedisEndpoint {
  const name = `${cluster.tls ? 'rediss' : 'redis'}://${hostPort(host, port)}`;
  return { ...cluster, host, port, cluster: null, name };
}
