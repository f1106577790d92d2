import { Document, isMap, isScalar, isSeq, type Node, type Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { backendIdentity } from '../../routing/backend-url.ts';

/** A record in a section of a routes file: its host and its value. */
export type RecordPair = Pair<Node, Node | null>;

/** Makes an entry hold this record. Nodes that stay keep their comments. */
export function changeRouteEntry(
  document: Document<Node, false>,
  entry: RecordPair,
  pattern: string,
  record: readonly unknown[],
): void {
  const [id, ...backends] = record;
  const { value } = entry;
  if (isSeq(value) && id === pattern) {
    changeList(value as YAMLSeq, backends);
    return;
  }
  const list = isSeq(value) ? (value as YAMLSeq) : null;
  if (!isMap(value)) {
    entry.value = newRouteEntry(pattern, record).value;
    if (list !== null) changeList(list, backends);
    if (list !== null) (entry.value as YAMLMap).set('backends', list);
    return;
  }
  const former = value.get('backends', true) as Node | undefined;
  if (isSeq(former)) changeList(former as YAMLSeq, backends);
  else value.set('backends', newList(backends));
  const known = value.get('id', true);
  if (isScalar(known)) known.value = id;
  else if (known !== undefined) value.set('id', id);
  else if (id !== pattern) (value.items as unknown[]).unshift(document.createPair('id', id));
}

/** Scalars of items that stay, of backends maybe with another weight, are used again. */
export function changeList(list: YAMLSeq, items: readonly unknown[]): void {
  const free = list.items.filter((item) => isScalar(item)) as Scalar[];
  const take = (isSame: (value: unknown) => boolean): Scalar | null => {
    const index = free.findIndex(({ value }) => isSame(value));
    return index === -1 ? null : (free.splice(index, 1)[0] as Scalar);
  };
  const unchanged = items.map((item) => take((value) => value === item));
  list.items = items.map((item, i) => {
    const kept = unchanged[i] ?? take((value) => identityOf(value) === identityOf(item));
    if (kept == null) return new Scalar(item);
    kept.value = item;
    return kept;
  });
  if (list.items.length > 0 && list.range === undefined) list.flow = false;
  // The comment behind the last item would be written behind `[]`, where a later reading takes it for another node's as well.
  if (list.items.length === 0) list.comment = null;
}

export function newRouteEntry(pattern: string, [id, ...backends]: readonly unknown[]): RecordPair {
  const list = newList(backends);
  const map = new YAMLMap<Node, Node>();
  const document = new Document<Node, false>();
  if (id === pattern) return document.createPair(pattern, list) as unknown as RecordPair;
  map.items.push(document.createPair('id', id) as never, document.createPair('backends', list) as never);
  return document.createPair(pattern, map) as unknown as RecordPair;
}

function newList(backends: readonly unknown[]): YAMLSeq {
  const list = new YAMLSeq();
  list.items = backends.map((backend) => new Scalar(backend));
  return list;
}

function identityOf(value: unknown): unknown {
  return typeof value === 'string' ? backendIdentity(value) : value;
}
