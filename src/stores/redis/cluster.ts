import { BackOff } from '../../base/back-off.ts';
import { CoalescedTask } from '../../base/coalesced-task.ts';
import { HipacheError } from '../../base/errors.ts';
import { within } from '../../base/timer.ts';
import type { HostAndPort } from '../driver-url.ts';
import { type ClusterMap, type ClusterView, hasMoved, mergeViews, parseView, servesSlots } from './cluster-map.ts';
import { ClusterNode } from './cluster-node.ts';
import { ClusterSeeds } from './cluster-seeds.ts';
import { slotOf } from './cluster-slots.ts';
import type { RedisCommand, RedisConnection, RedisConnectionEvents, RedisTimings } from './connection.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { isWrongType, redisError } from './errors.ts';
import { askingFirst, isRedirection, type Redirecting, Redirections } from './redirections.ts';

/** How soon the nodes are asked anew after one has said that a slot has moved, in ms. */
const lookAfterMoveMs = 100;
/** How often one look goes on to ask nodes that it has found. */
const roundsMax = 3;

export interface RedisClusterOptions {
  readonly endpoint: RedisEndpoint;
  /** Nodes of the cluster, as the URL names them. */
  readonly seeds: readonly HostAndPort[];
  readonly timings: RedisTimings;
  readonly tracking: boolean;
  readonly reported: readonly string[];
}

/**
 * The primaries of a Redis Cluster, with one connection for reading to each. The library's own cluster client is not used:
 * it moves its connections by itself, so that it would not be known from which moment on changes are reported.
 *
 * A node does not report changes of keys that have left it, if it had none under that name. So all primaries are asked once
 * a second, and after each MOVED, who has which slot, and when that changes, everything that was read counts as changed.
 * The cluster is ready while every primary that has slots is connected.
 */
export class RedisCluster implements Redirecting {
  readonly endpoint: RedisEndpoint;
  private readonly options: RedisClusterOptions;
  private readonly events: RedisConnectionEvents;
  private readonly seeds: ClusterSeeds;
  private readonly refreshing = new CoalescedTask(() => this.look());
  private readonly pauses: BackOff;
  private tracking: boolean;
  private readonly nodes = new Map<string, ClusterNode>();
  private map: ClusterMap | null = null;
  /** The node of each slot: that of the map, or the one that a node has named since. */
  private owners: (ClusterNode | undefined)[] = [];
  /** Whether a node has said that a slot has moved, since the nodes were last asked. */
  private hasRedirected = false;
  /** Slots that were read where they are on their way to. */
  private readonly askedSlots = new Set<number>();
  /** The nodes that have slots. */
  private serving: readonly ClusterNode[] = [];
  private readonly retired = new Set<ClusterNode>();
  private layouts = 0;
  private isReady = false;
  private lastError: HipacheError;
  /** Why not every node has said what it has, when they were last asked. */
  private lookError: HipacheError | null = null;
  private timer: NodeJS.Timeout | null = null;
  private dueMs = 0;
  private closed = false;

  /** Starts to connect at once. */
  constructor(options: RedisClusterOptions, events: RedisConnectionEvents) {
    const { endpoint, seeds, timings } = options;
    this.options = options;
    this.endpoint = endpoint;
    this.events = events;
    this.tracking = options.tracking;
    this.seeds = new ClusterSeeds(endpoint, seeds, timings, () => events.userIgnored());
    this.pauses = new BackOff({ firstMs: timings.retryFirstMs, longestMs: timings.pingEveryMs });
    this.lastError = this.unavailable('is not connected yet');
    void this.refresh();
  }

  get name(): string {
    return this.endpoint.name;
  }

  get ready(): boolean {
    return this.isReady;
  }

  /** Whether every node tracks what is read now. */
  get tracked(): boolean {
    return this.isReady && this.serving.every(({ reads }) => reads.tracked);
  }

  /** Why it is not ready. */
  get error(): HipacheError {
    return this.lastError;
  }

  /** The nodes that keep records. */
  get servers(): readonly RedisConnection[] {
    return this.serving.map(({ reads }) => reads);
  }

  /** The outcome of an attempt to connect to every primary: an error, or null for success. */
  async attempted(): Promise<HipacheError | null> {
    if (!this.isReady) await this.refresh();
    await Promise.all(this.serving.map(({ reads }) => reads.attempted()));
    return this.isReady ? null : this.lastError;
  }

  /** Makes the nodes report changes from now on, with new connections if necessary. */
  async track(): Promise<void> {
    this.tracking = true;
    await this.attempted();
    await Promise.all([...this.nodes.values()].map(({ reads }) => reads.track()));
  }

  /**
   * Sends each command to the node of its first argument, which is its only key. Resolves with the replies, each of which
   * may be an error.
   * @throws HipacheError if a node of these is not connected, or if its connection breaks.
   */
  async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    const parts = new Map<ClusterNode, number[]>();
    for (const [i, [, key = '']] of commands.entries()) {
      const node = this.ownerOf(slotOf(key));
      const part = parts.get(node);
      if (part === undefined) parts.set(node, [i]);
      else part.push(i);
    }
    const replies = new Array<unknown>(commands.length);
    await Promise.all([...parts].map(([node, part]) => this.sendPart(node, commands, part, replies)));
    return replies;
  }

  /**
   * Resolves when all changes before this call have been reported: each node has replied, on the connection that reads,
   * and every slot that had moved by then has been seen to have moved.
   * @throws HipacheError if a node does not reply.
   */
  async settled(): Promise<void> {
    await this.refresh();
    if (!this.isReady) throw this.lastError;
    if (this.lookError !== null) throw this.lookError;
  }

  /** A number that stays the same while no key moves from one node to another. */
  async layout(): Promise<number> {
    await this.refresh();
    return this.layouts;
  }

  refresh(): Promise<void> {
    return this.refreshing.request();
  }

  ownerOf(slot: number): ClusterNode {
    if (this.closed || this.map === null) throw this.lastError;
    const owner = this.owners[slot];
    if (owner === undefined) throw this.unavailable(`no node has the slot ${slot}`);
    return owner;
  }

  moved(slot: number, address: string): boolean {
    this.lookWithin(lookAfterMoveMs);
    const node = this.connectedAt(address);
    if (node === undefined) return false;
    if (this.owners[slot] !== node) this.hasRedirected = true;
    this.owners[slot] = node;
    return true;
  }

  moving(slot: number, address: string): ClusterNode | undefined {
    const node = this.connectedAt(address);
    if (node !== undefined) this.askedSlots.add(slot);
    return node;
  }

  /** Pending reads and writes fail. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.isReady = false;
    this.lastError = this.unavailable('the store was closed');
    if (this.timer !== null) clearTimeout(this.timer);
    void this.refreshing.close();
    this.seeds.close();
    for (const node of [...this.nodes.values(), ...this.retired]) node.close();
  }

  /** @param address as the nodes write it: an IPv6 address has no brackets. */
  private connectedAt(address: string): ClusterNode | undefined {
    const node = this.nodes.get(address.replace(/^([^[]*:.*):/, '[$1]:'));
    return node?.reads.ready === true ? node : undefined;
  }

  private async sendPart(
    node: ClusterNode,
    commands: readonly RedisCommand[],
    part: readonly number[],
    replies: unknown[],
  ): Promise<void> {
    const received = await node.reads.send(part.map((i) => commands[i] as RedisCommand));
    for (const [at, i] of part.entries()) {
      const reply = received[at];
      if (!(reply instanceof Error)) replies[i] = reply;
      else if (isRedirection(reply)) replies[i] = await this.resend(commands[i] as RedisCommand, reply);
      else replies[i] = isWrongType(reply) ? reply : redisError(reply, node.name);
    }
  }

  /** @returns the reply of the node that a command is redirected to. */
  private async resend(command: RedisCommand, refusal: unknown): Promise<unknown> {
    const redirections = new Redirections(this);
    const [, key = ''] = command;
    let reply = refusal;
    while (isRedirection(reply)) {
      await redirections.follow(reply, key);
      const place = redirections.placeOf(key);
      reply = (await place.node.reads.send([...askingFirst(place), command])).at(-1);
    }
    return reply;
  }

  private async look(): Promise<void> {
    try {
      for (let round = 0; round < roundsMax; round++) {
        const map = mergeViews(await this.views());
        if (this.closed || !(await this.adopt(map))) break;
      }
    } catch (error) {
      this.failed(error as HipacheError);
    }
    this.lookWithin(this.isReady ? this.options.timings.pingEveryMs : this.pauses.next());
  }

  /** @throws HipacheError if no node says what it has. */
  private async views(): Promise<readonly ClusterView[]> {
    this.lookError = null;
    const views: ClusterView[] = [];
    const connected = [...this.nodes.values()].filter(({ reads }) => reads.ready);
    await Promise.all(
      connected.map(async ({ reads }) => {
        try {
          views.push(await this.ask(reads));
        } catch (error) {
          this.lookError = error as HipacheError;
        }
      }),
    );
    if (views.some(servesSlots)) return views;
    return [await this.seeds.ask(this.map?.addresses ?? [])];
  }

  private async ask(connection: RedisConnection): Promise<ClusterView> {
    const { replyTimeoutMs } = this.options.timings;
    const [reply] = await within(connection.send([['CLUSTER', 'NODES']]), replyTimeoutMs, () => {
      connection.hung();
      return connection.error;
    });
    if (reply instanceof Error) throw redisError(reply, connection.endpoint.name);
    return parseView(String(reply), connection.endpoint.host ?? '', this.endpoint.tls);
  }

  /** Connects to the nodes that are new, then uses the map. @returns whether there are nodes that were not asked yet. */
  private async adopt(map: ClusterMap): Promise<boolean> {
    const added = [...map.primaries].filter(([name]) => !this.nodes.has(name));
    for (const [name, address] of added) this.nodes.set(name, this.connect(address));
    const owners = map.owners.map((name) => (name === undefined ? undefined : this.nodes.get(name)));
    const serving = [...new Set(owners)].filter((node) => node !== undefined);
    await Promise.all(serving.map((node) => (this.serving.includes(node) ? null : node.reads.attempted())));
    if (this.closed) return false;
    const isMoved = this.map !== null && this.isMoved(this.map, map);
    const wasReady = this.isReady;
    this.map = map;
    this.owners = owners;
    this.serving = serving;
    for (const [name, node] of this.nodes) if (!map.primaries.has(name)) this.retire(name, node);
    if (isMoved || map.moving !== '') this.layouts++;
    this.update();
    // Otherwise, everything is verified once the cluster is ready.
    if (isMoved && wasReady && this.isReady) this.events.changed(null);
    return added.length > 0;
  }

  /** Whether a key may have been read at a node that does not report its changes any more. */
  private isMoved(before: ClusterMap, after: ClusterMap): boolean {
    let isMoved = this.hasRedirected || hasMoved(before, after);
    this.hasRedirected = false;
    for (const slot of this.askedSlots) {
      if (after.moving.includes(`[${slot}->`)) continue;
      this.askedSlots.delete(slot);
      isMoved = true;
    }
    return isMoved;
  }

  private connect(address: HostAndPort): ClusterNode {
    const { endpoint, timings, reported } = this.options;
    const node = new ClusterNode(
      { endpoint, address, timings, tracking: this.tracking, reported },
      {
        ready: () => this.update(),
        lost: () => {
          this.update();
          this.lookWithin(0);
        },
        failed: (error) => {
          if (!this.serving.includes(node)) return;
          this.failed(error);
        },
        changed: (key) => this.events.changed(key),
        userIgnored: () => this.events.userIgnored(),
      },
    );
    return node;
  }

  /** Readings that are under way end first. */
  private retire(name: string, node: ClusterNode): void {
    this.nodes.delete(name);
    this.retired.add(node);
    const timer = setTimeout(() => {
      this.retired.delete(node);
      node.close();
    }, this.options.timings.replyTimeoutMs);
    timer.unref();
  }

  private update(): void {
    if (this.closed) return;
    const missing = this.serving.find(({ reads }) => !reads.ready);
    if (missing !== undefined) this.lastError = missing.reads.error;
    const isReady = this.serving.length > 0 && missing === undefined;
    if (isReady === this.isReady) return;
    this.isReady = isReady;
    if (isReady) {
      this.pauses.reset();
      this.events.ready();
    } else {
      this.events.lost(this.lastError);
    }
  }

  private failed(error: HipacheError): void {
    if (this.closed) return;
    if (!this.isReady) this.lastError = error;
    this.events.failed(error);
  }

  private lookWithin(delayMs: number): void {
    if (this.closed) return;
    const dueMs = performance.now() + delayMs;
    if (this.timer !== null) {
      if (this.dueMs <= dueMs) return;
      clearTimeout(this.timer);
    }
    this.dueMs = dueMs;
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.refresh();
    }, delayMs);
  }

  private unavailable(problem: string): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.endpoint.name}: ${problem}`);
  }
}
