import { hostPort } from '../../base/host-port.ts';
import type { HostAndPort } from '../driver-url.ts';
import { slotCount } from './cluster-slots.ts';

/** A cluster as one of its nodes sees it: the reply to CLUSTER NODES. */
export interface ClusterView {
  readonly nodes: readonly NodeView[];
}

interface NodeView {
  readonly id: string;
  /** The host is empty if the node does not know its own yet. */
  readonly address: HostAndPort;
  readonly isSelf: boolean;
  readonly isPrimary: boolean;
  /** Of two nodes that claim a slot, the one with the higher epoch has it. */
  readonly epoch: number;
  /** First and last slot of each range. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  /** The slots that are moving, as the node that speaks of itself writes them: `[77->-id]`, `[93-<-id]`. */
  readonly moving: readonly string[];
}

/** The state of a cluster. Nodes have the name `host:port`. */
export interface ClusterMap {
  readonly primaries: ReadonlyMap<string, HostAndPort>;
  /** The name of the primary of each slot; undefined if none has it. */
  readonly owners: readonly (string | undefined)[];
  /** The slots that are moving, and where to; empty if none is. */
  readonly moving: string;
  /** Every node, also the replicas. */
  readonly addresses: readonly HostAndPort[];
}

/**
 * @param text the reply to CLUSTER NODES.
 * @param asked the host that gave it: its own address if it does not know one.
 * @param byName whether nodes are reached by the host name that they announce, since that is in their certificates.
 */
export function parseView(text: string, asked: string, byName: boolean): ClusterView {
  const nodes = text.split('\n').flatMap((line) => {
    const [id, address = '', flagList = '', , , , epoch, , ...slots] = line.trim().split(' ');
    const match = /^(?<ip>.*):(?<port>[0-9]+)(?:@[0-9]*)?(?:,(?<name>[^,]*))?/.exec(address);
    const flags = flagList.split(',');
    if (!id || match === null || flags.includes('handshake') || flags.includes('noaddr')) return [];
    const { ip = '', port, name = '' } = match.groups ?? {};
    const isSelf = flags.includes('myself');
    const host = (byName && name !== '' ? name : ip) || (isSelf ? asked : '');
    return {
      id,
      address: { host, port: Number(port) },
      isSelf,
      isPrimary: flags.includes('master'),
      epoch: Number(epoch),
      ranges: slots.filter((slot) => !slot.startsWith('[')).map(parseRange),
      moving: slots.filter((slot) => slot.startsWith('[')),
    };
  });
  return { nodes };
}

function parseRange(text: string): [first: number, last: number] {
  const [first, last = first] = text.split('-').map(Number);
  return [first as number, last as number];
}

export function servesSlots(view: ClusterView): boolean {
  return view.nodes.some(({ ranges }) => ranges.length > 0);
}

/**
 * What several nodes see, together: each slot belongs to the node that claims it, or is said to, with the highest epoch.
 * So a node that is cut off from the others does not count.
 */
export function mergeViews(views: readonly ClusterView[]): ClusterMap {
  const addresses = new Map<string, HostAndPort>();
  const primaryIds = new Set<string>();
  const owners = new Array<string | undefined>(slotCount).fill(undefined);
  const epochs = new Float64Array(slotCount).fill(-1);
  const moving: string[] = [];
  const newest = new Map<string, NodeView>();
  for (const node of views.flatMap((view) => view.nodes)) {
    if (node.address.host !== '' && (node.isSelf || !addresses.has(node.id))) addresses.set(node.id, node.address);
    const known = newest.get(node.id);
    if (known === undefined || node.epoch > known.epoch || (node.epoch === known.epoch && node.isSelf)) {
      newest.set(node.id, node);
    }
    moving.push(...node.moving.map((slot) => `${node.id} ${slot}`));
    claim(node, owners, epochs);
  }
  for (const node of newest.values()) if (node.isPrimary) primaryIds.add(node.id);
  const nameOf = (id: string): string | undefined => {
    const address = addresses.get(id);
    return address === undefined ? undefined : hostPort(address.host, address.port);
  };
  const names = new Map([...new Set([...primaryIds, ...owners])].map((id) => [id, id && nameOf(id)]));
  const primaries = new Map<string, HostAndPort>();
  for (const [id, name] of names) if (id && name) primaries.set(name, addresses.get(id) as HostAndPort);
  return {
    primaries,
    owners: owners.map((id) => names.get(id) || undefined),
    moving: moving.toSorted().join('\n'),
    addresses: [...addresses.values()],
  };
}

/** Of two claims with one epoch, that of the node itself counts. */
function claim(node: NodeView, owners: (string | undefined)[], epochs: Float64Array): void {
  if (!node.isPrimary) return;
  for (const [first, last] of node.ranges) {
    for (let slot = first; slot <= last; slot++) {
      const epoch = epochs[slot] as number;
      if (node.epoch < epoch || (node.epoch === epoch && !node.isSelf)) continue;
      epochs[slot] = node.epoch;
      owners[slot] = node.id;
    }
  }
}

/** Whether a slot has another owner, or begins or ends to move. */
export function hasMoved(before: ClusterMap, after: ClusterMap): boolean {
  return before.moving !== after.moving || after.owners.some((owner, slot) => owner !== before.owners[slot]);
}
