import { HipacheError } from '../../base/errors.ts';
import { hostPort } from '../../base/host-port.ts';
import type { HostAndPort } from '../driver-url.ts';
import { type ClusterView, parseView, servesSlots } from './cluster-map.ts';
import { nodeEndpoint } from './cluster-node.ts';
import { RedisConnection, type RedisTimings } from './connection.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { redisError } from './errors.ts';

/** The nodes that a URL names. They are asked, each over a connection for one question, while no primary is connected. */
export class ClusterSeeds {
  private readonly endpoint: RedisEndpoint;
  private readonly addresses: readonly HostAndPort[];
  private readonly timings: RedisTimings;
  private readonly onUserIgnored: () => void;
  private readonly connections = new Set<RedisConnection>();
  private isClosed = false;

  /** @param endpoint of the cluster. @param onUserIgnored as `RedisConnectionEvents.userIgnored`. */
  constructor(
    endpoint: RedisEndpoint,
    addresses: readonly HostAndPort[],
    timings: RedisTimings,
    onUserIgnored: () => void,
  ) {
    this.endpoint = endpoint;
    this.addresses = addresses;
    this.timings = timings;
    this.onUserIgnored = onUserIgnored;
  }

  /**
   * The cluster as the first of the nodes that replies sees it.
   * @param known further nodes.
   * @throws HipacheError why none can be asked.
   */
  async ask(known: readonly HostAndPort[]): Promise<ClusterView> {
    const addresses = new Map([...this.addresses, ...known].map((one) => [hostPort(one.host, one.port), one]));
    try {
      return await Promise.any([...addresses.values()].map((address) => this.askOne(address)));
    } catch (error) {
      throw mostTelling((error as AggregateError).errors as readonly HipacheError[]);
    } finally {
      this.closeAll();
    }
  }

  close(): void {
    this.isClosed = true;
    this.closeAll();
  }

  private async askOne(address: HostAndPort): Promise<ClusterView> {
    if (this.isClosed) throw new HipacheError('STORE_UNAVAILABLE', `${this.endpoint.name}: the store was closed`);
    const endpoint = nodeEndpoint(this.endpoint, address);
    const connection = new RedisConnection(
      { endpoint, timings: this.timings, tracking: false },
      { ready: ignore, lost: ignore, failed: ignore, changed: ignore, userIgnored: this.onUserIgnored },
    );
    this.connections.add(connection);
    try {
      const error = await connection.attempted();
      if (error !== null) throw error;
      const [reply] = await connection.send([['CLUSTER', 'NODES']]);
      if (reply instanceof Error) throw redisError(reply, endpoint.name);
      const view = parseView(String(reply), address.host, endpoint.tls);
      if (servesSlots(view)) return view;
      throw new HipacheError(
        'STORE_UNAVAILABLE',
        `${endpoint.name}: its cluster has no slots; see redis-cli --cluster`,
      );
    } finally {
      connection.close();
      this.connections.delete(connection);
    }
  }

  private closeAll(): void {
    for (const connection of this.connections) connection.close();
  }
}

/** A node that refuses says more than one that is not there. */
function mostTelling(errors: readonly HipacheError[]): HipacheError {
  return (errors.find(({ code }) => code !== 'STORE_UNAVAILABLE') ?? errors[0]) as HipacheError;
}

function ignore(): void {}
