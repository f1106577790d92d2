import { setTimeout as delay } from 'node:timers/promises';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import type { ClusterNode } from './cluster-node.ts';
import { slotOf } from './cluster-slots.ts';
import { redisError } from './errors.ts';

/** How often one operation goes on elsewhere, or tries again. With the pauses, that is about a second. */
const redirectionsMax = 12;
/** The first redirection is followed at once. */
const pauses = { firstMs: 5, longestMs: 200 };

/** The part of a cluster that redirections use. */
export interface Redirecting {
  readonly name: string;
  readonly ready: boolean;
  /** The node of a slot. @throws HipacheError if none is known. */
  ownerOf(slot: number): ClusterNode;
  /** A node says that a slot has moved to another one, for good. @returns whether that one is connected. */
  moved(slot: number, address: string): boolean;
  /** A node says that a key may already be at the node to which its slot is moving. @returns that one, if connected. */
  moving(slot: number, address: string): ClusterNode | undefined;
  /** Asks the nodes anew who has which slot. */
  refresh(): Promise<void>;
}

/** The node to send a command to. */
export interface KeyPlace {
  readonly node: ClusterNode;
  /** Whether the node only accepts the command after ASKING: the slot is on its way there. */
  readonly asking: boolean;
}

/** The commands that let a node that a slot is on its way to accept the next command. */
export function askingFirst({ asking }: KeyPlace): readonly (readonly string[])[] {
  return asking ? [['ASKING']] : [];
}

/** Whether a reply says that the key is elsewhere, or that the cluster cannot reply at this moment. */
export function isRedirection(reply: unknown): boolean {
  return reply instanceof Error && /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(causeOf(reply).message);
}

/** Where the commands of one operation go: to the node of their key, or to the one that it names. */
export class Redirections {
  private readonly cluster: Redirecting;
  /** Keys that are not at the node of their slot, and where they are: other keys of the slot may not have moved yet. */
  private readonly asked = new Map<string, ClusterNode>();
  private readonly pauses = new BackOff(pauses);
  private count = 0;

  constructor(cluster: Redirecting) {
    this.cluster = cluster;
  }

  /** @throws HipacheError if no node is known to have the key. */
  placeOf(key: string): KeyPlace {
    const node = this.asked.get(key);
    return node === undefined ? { node: this.cluster.ownerOf(slotOf(key)), asking: false } : { node, asking: true };
  }

  /**
   * Resolves when the operation can try again, after a node has refused a command for `key`.
   * @throws HipacheError if it cannot: because of another error, or because the cluster does not come to rest.
   */
  async follow(refusal: unknown, key: string): Promise<void> {
    if (!isRedirection(refusal)) throw redisError(refusal, this.cluster.name);
    const { message } = causeOf(refusal as Error);
    const [kind, , address = ''] = message.split(' ');
    const isDown = kind === 'CLUSTERDOWN';
    if (this.count++ >= redirectionsMax || (isDown && !this.cluster.ready)) {
      throw isDown ? redisError(refusal, this.cluster.name) : this.endless(message);
    }
    this.asked.delete(key);
    if (kind === 'MOVED' && this.cluster.moved(slotOf(key), address) && this.count === 1) return;
    if (kind === 'ASK' && this.ask(key, address)) return;
    if (kind === 'MOVED' || kind === 'ASK') await this.cluster.refresh();
    if (kind === 'ASK' && this.ask(key, address)) return;
    await delay(this.pauses.next());
  }

  private ask(key: string, address: string): boolean {
    const node = this.cluster.moving(slotOf(key), address);
    if (node === undefined) return false;
    this.asked.set(key, node);
    return true;
  }

  private endless(message: string): HipacheError {
    return new HipacheError(
      'STORE_UNAVAILABLE',
      `${this.cluster.name}: its nodes do not agree where a key is (${message})`,
    );
  }
}

function causeOf(error: Error): Error {
  return error instanceof HipacheError && error.cause instanceof Error ? error.cause : error;
}
