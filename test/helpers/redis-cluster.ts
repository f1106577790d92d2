import { slotCount, slotOf } from '../../src/stores/redis/cluster-slots.ts';
import { RedisServer } from './redis-server.ts';
import { until } from './until.ts';

export interface RedisClusterLayout {
  /** Default 3. */
  readonly primaries?: number;
  /** Default 0. */
  readonly replicas?: number;
  /** How long a node may be silent until it is replaced. Default 10,000: a busy machine does not lose one. */
  readonly nodeTimeoutMs?: number;
  /** Further directives of the servers. */
  readonly config?: readonly string[];
  /** Arguments with which redis-cli authenticates. */
  readonly cli?: readonly string[];
}

/** A Redis Cluster. Replica n follows primary n. */
export class RedisClusterServers {
  readonly primaries: RedisServer[] = [];
  readonly replicas: RedisServer[] = [];
  private readonly layout: RedisClusterLayout;

  private constructor(layout: RedisClusterLayout) {
    this.layout = layout;
  }

  static async start(layout: RedisClusterLayout = {}): Promise<RedisClusterServers> {
    const cluster = new RedisClusterServers(layout);
    const { primaries = 3, replicas = 0 } = layout;
    for (let i = 0; i < primaries; i++) cluster.primaries.push(await cluster.startNode());
    const [first] = cluster.primaries as [RedisServer];
    for (const [i, node] of cluster.primaries.entries()) {
      const [from, next] = [i, i + 1].map((part) => Math.floor((part * slotCount) / primaries));
      await node.cli('cluster', 'addslotsrange', String(from), String(Number(next) - 1));
      // So that no two nodes have the same epoch, as redis-cli --cluster create does.
      await node.cli('cluster', 'set-config-epoch', String(i + 1));
    }
    for (const node of cluster.primaries.slice(1)) await cluster.meet(first, node);
    for (let i = 0; i < replicas; i++)
      cluster.replicas.push(await cluster.addReplica(cluster.primaries[i] as RedisServer));
    await cluster.agreed();
    return cluster;
  }

  /** Every node, also those that have been killed. */
  get servers(): readonly RedisServer[] {
    return [...this.primaries, ...this.replicas];
  }

  get url(): string {
    return `redis+cluster://${this.primaries.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  /** Adds a primary without slots. */
  async add(): Promise<RedisServer> {
    const node = await this.startNode();
    await this.meet(this.primaries[0] as RedisServer, node);
    this.primaries.push(node);
    await this.agreed();
    return node;
  }

  async idOf(node: RedisServer): Promise<string> {
    return node.cli('cluster', 'myid');
  }

  /** The primary that has the slot of a key, as `asked` sees it. */
  async primaryOf(key: string, asked = this.primaries[0] as RedisServer): Promise<RedisServer> {
    const slot = slotOf(key);
    const nodes = (await asked.cli('cluster', 'nodes')).split('\n');
    const line = nodes.find((node) =>
      node
        .split(' ')
        .slice(8)
        .some((range) => {
          const [first, last = first] = range.split('-').map(Number);
          return slot >= (first as number) && slot <= (last as number);
        }),
    );
    const port = Number(/:([0-9]+)@/.exec(line ?? '')?.[1]);
    const found = this.servers.find((server) => server.port === port);
    if (found === undefined) throw new Error(`no node has the slot ${slot}`);
    return found;
  }

  /** Begins to move the slot of a key. */
  async beginMove(key: string, from: RedisServer, to: RedisServer): Promise<void> {
    const slot = String(slotOf(key));
    await to.cli('cluster', 'setslot', slot, 'importing', await this.idOf(from));
    await from.cli('cluster', 'setslot', slot, 'migrating', await this.idOf(to));
  }

  /** Moves the keys of the slot, and ends the move. */
  async endMove(key: string, from: RedisServer, to: RedisServer): Promise<void> {
    const slot = String(slotOf(key));
    const keys = (await from.cli('cluster', 'getkeysinslot', slot, '1000')).split('\n').filter((name) => name !== '');
    if (keys.length > 0) {
      await from.cli('migrate', '127.0.0.1', String(to.port), '', '0', '5000', 'keys', ...keys);
    }
    const id = await this.idOf(to);
    await to.cli('cluster', 'setslot', slot, 'node', id);
    await from.cli('cluster', 'setslot', slot, 'node', id);
  }

  /** Moves the slot of a key, as `redis-cli --cluster reshard` does. */
  async move(key: string, to: RedisServer): Promise<void> {
    const from = await this.primaryOf(key);
    await this.beginMove(key, from, to);
    await this.endMove(key, from, to);
  }

  /** Waits until every node that runs sees every slot served. */
  async agreed(nodes: readonly RedisServer[] = this.servers): Promise<void> {
    await until('the cluster to be ok', async () => {
      const states = await Promise.all(nodes.map((node) => node.cli('cluster', 'info')));
      return states.every(
        (state) => state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${this.servers.length}`),
      );
    });
  }

  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.remove()));
  }

  private startNode(): Promise<RedisServer> {
    const { nodeTimeoutMs = 10_000, config = [], cli = [] } = this.layout;
    return RedisServer.start({
      cli,
      isNode: true,
      config: [
        'cluster-config-file nodes.conf',
        `cluster-node-timeout ${nodeTimeoutMs}`,
        'cluster-replica-validity-factor 0',
        ...config,
      ],
    });
  }

  private async addReplica(primary: RedisServer): Promise<RedisServer> {
    const node = await this.startNode();
    await this.meet(primary, node);
    const id = await this.idOf(primary);
    await until('the replica to know its primary', async () => (await node.cli('cluster', 'nodes')).includes(id));
    await node.cli('cluster', 'replicate', id);
    await until('the replica to follow', async () =>
      (await node.cli('info', 'replication')).includes('master_link_status:up'),
    );
    return node;
  }

  private async meet(node: RedisServer, other: RedisServer): Promise<void> {
    await other.cli('cluster', 'meet', '127.0.0.1', String(node.port), String(node.busPort));
  }
}
