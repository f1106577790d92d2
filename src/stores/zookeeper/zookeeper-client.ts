import { setTimeout as delay } from 'node:timers/promises';
import { backOffMs } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { KeyedQueue } from '../../base/keyed-queue.ts';
import type { KeyValueClient, KeyValueEdit, KeyValueWrite, RecordKey, RecordKind } from '../key-value/client.ts';
import { decodeName, encodeName, type ZooKeeperKeys } from './keys.ts';
import {
  type Acl,
  type NodeOperation,
  opCode,
  readOperations,
  readStat,
  writeOperation,
  writeOperations,
  zooKeeperErrors,
} from './protocol.ts';
import type { ZooKeeperSession } from './session.ts';

const attemptsMax = 50;
const pauses = { firstMs: 1, longestMs: 100, spread: [0, 1] as const };
/** Nodes that are watched. Beyond them the session begins anew, without watches. */
const watchesMax = 1_000_000;
/** Requests of a listing that are under way at once. */
const listedAtOnce = 256;

/** The data of a node that exists. */
interface ZooKeeperNode {
  readonly value: string;
  readonly version: number;
  readonly mzxid: bigint;
}

/** Texts in the nodes of a ZooKeeper ensemble. */
export class ZooKeeperClient implements KeyValueClient {
  /** Whether nodes are watched once they are read. */
  isWatching = false;
  private readonly session: ZooKeeperSession;
  private readonly keys: ZooKeeperKeys;
  private readonly acl: Acl;
  private readonly watched = new Set<string>();
  private readonly queue = new KeyedQueue();

  constructor(session: ZooKeeperSession, keys: ZooKeeperKeys, acl: Acl) {
    this.session = session;
    this.keys = keys;
    this.acl = acl;
  }

  /** The session has begun anew: nothing is watched. */
  reset(): void {
    this.watched.clear();
  }

  /** The watch of this node has reported its change. */
  unwatched(path: string): void {
    this.watched.delete(path);
  }

  async read(keys: readonly RecordKey[]): Promise<readonly (string | null)[]> {
    const nodes = await Promise.all(keys.map((key) => this.get(this.keys.of(key))));
    return nodes.map((node) => node?.value ?? null);
  }

  run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    const [first] = edit.keys;
    return first === undefined ? this.attempt(edit) : this.queue.run(first, () => this.attempt(edit));
  }

  async list(kind: RecordKind, after: string, limit: number): Promise<readonly { pattern: string; value: string }[]> {
    const above = this.keys.above(kind);
    const patterns = (await this.namesBelow(above))
      .map(decodeName)
      .filter((pattern) => compareBytes(pattern, after) > 0)
      .sort(compareBytes);
    const found: { pattern: string; value: string }[] = [];
    for (let from = 0; from < patterns.length && found.length < limit; ) {
      const page = patterns.slice(from, from + Math.min(listedAtOnce, limit - found.length));
      from += page.length;
      const nodes = await Promise.all(page.map((pattern) => this.get(`${above}/${encodeName(pattern)}`, false)));
      for (const [i, node] of nodes.entries()) {
        if (node !== null) found.push({ pattern: page[i] as string, value: node.value });
      }
    }
    return found;
  }

  /** The texts of all nodes below a path, by the pattern or id that their names stand for. */
  async readAll(above: string): Promise<readonly { name: string; value: string }[]> {
    const names = await this.namesBelow(above);
    const nodes = await Promise.all(names.map((name) => this.get(`${above}/${name}`, false)));
    return names.flatMap((name, i) => {
      const node = nodes[i] ?? null;
      return node === null ? [] : [{ name: decodeName(name), value: node.value }];
    });
  }

  /** The transaction of the last write of Hipache's; 0 before the first. */
  async revision(): Promise<number> {
    return Number((await this.get(this.keys.revision))?.mzxid ?? 0n);
  }

  /** A node that the ensemble removes when the session ends. */
  async putEphemeral(path: string, value: string): Promise<void> {
    const data = Buffer.from(value);
    for (let attempt = 1; ; attempt++) {
      const error = await this.transact([{ kind: 'setData', path, data, version: -1 }]);
      if (error === 0) return;
      if (error !== zooKeeperErrors.noNode || attempt === attemptsMax) throw this.session.errorOf(error, path);
      await this.makeParents([path]);
      const made = await this.transact([{ kind: 'create', path, data, acl: this.acl, ephemeral: true }]);
      if (made === 0) return;
      if (made !== zooKeeperErrors.nodeExists) throw this.session.errorOf(made, path);
    }
  }

  async remove(path: string): Promise<void> {
    const error = await this.transact([{ kind: 'delete', path, version: -1 }]);
    if (error !== 0 && error !== zooKeeperErrors.noNode) throw this.session.errorOf(error, path);
  }

  /** @param watches whether the node is watched, if this client watches at all. */
  private async get(path: string, watches = true): Promise<ZooKeeperNode | null> {
    const isNew = watches && this.isWatching && !this.watched.has(path);
    if (isNew) this.watch(path);
    for (;;) {
      const { error, body } = await this.session.send(opCode.getData, (writer) => writer.text(path).bool(isNew));
      if (error === 0) {
        const value = body.buffer().toString();
        return { value, ...readStat(body) };
      }
      if (error !== zooKeeperErrors.noNode) {
        this.watched.delete(path);
        throw this.session.errorOf(error, path);
      }
      if (!isNew) return null;
      // Only this watches for a node that does not exist.
      const checked = await this.session.send(opCode.exists, (writer) => writer.text(path).bool(true));
      if (checked.error !== 0) return null;
    }
  }

  private async namesBelow(above: string): Promise<readonly string[]> {
    const { error, body } = await this.session.send(opCode.getChildren2, (writer) => writer.text(above).bool(false));
    if (error === zooKeeperErrors.noNode) return [];
    if (error !== 0) throw this.session.errorOf(error, above);
    return body.texts();
  }

  private watch(path: string): void {
    if (this.watched.size >= watchesMax) {
      this.session.restart(`more than ${watchesMax} nodes are watched`);
      throw this.session.error;
    }
    this.watched.add(path);
  }

  private async attempt<Result>({ keys, isCounted = true, decide }: KeyValueEdit<Result>): Promise<Result> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const paths = keys.map((key) => this.keys.of(key));
      // A follower may be behind: a write that was acknowledged to another client must be seen.
      const [first] = paths;
      if (first !== undefined) await this.sync(first);
      const nodes = await Promise.all(paths.map((path) => this.get(path, false)));
      const { writes, result } = decide(nodes.map((node) => node?.value ?? null));
      if (writes.length === 0) return result;
      const operations: NodeOperation[] = [];
      for (const write of writes) {
        const path = this.keys.of(write.key);
        const at = paths.indexOf(path);
        const node = at === -1 ? await this.get(path, false) : (nodes[at] ?? null);
        operations.push(...this.operationsOf(path, write, node));
      }
      const written = new Set(operations.map(({ path }) => path));
      for (const [i, path] of paths.entries()) {
        const node = nodes[i] ?? null;
        if (node !== null && !written.has(path)) operations.push({ kind: 'check', path, version: node.version });
      }
      if (isCounted) operations.push({ kind: 'setData', path: this.keys.revision, data: Buffer.alloc(0), version: -1 });
      const error = await this.transact(operations);
      if (error === 0) return result;
      if (error === zooKeeperErrors.noNode) {
        await this.makeParents([...operations.map(({ path }) => path), `${this.keys.revision}/`]);
      } else if (error !== zooKeeperErrors.badVersion && error !== zooKeeperErrors.nodeExists) {
        throw this.session.errorOf(error, operations[0]?.path ?? '/');
      }
      if (attempt > 1) await delay(backOffMs(pauses, attempt));
    }
    throw new HipacheError('STORE_BUSY', `another program has changed the record ${attemptsMax} times meanwhile`);
  }

  private operationsOf(path: string, { value }: KeyValueWrite, node: ZooKeeperNode | null): NodeOperation[] {
    if (value === null) return node === null ? [] : [{ kind: 'delete', path, version: node.version }];
    const data = Buffer.from(value);
    return node === null
      ? [{ kind: 'create', path, data, acl: this.acl }]
      : [{ kind: 'setData', path, data, version: node.version }];
  }

  /** @returns the number of the error; 0 for success. */
  private async transact(operations: readonly NodeOperation[]): Promise<number> {
    const { error, body } = await this.session.send(opCode.multi, (writer) => writeOperations(writer, operations));
    // Since 3.5, the reply to a transaction that failed has its error in its header as well.
    const failed = readOperations(body);
    return failed === 0 ? error : failed;
  }

  /** Makes the nodes above these paths; a path that ends with a slash is made itself. */
  private async makeParents(paths: readonly string[]): Promise<void> {
    for (const path of new Set(paths.flatMap((one) => this.keys.parentsOf(one)))) {
      const operation: NodeOperation = { kind: 'create', path, data: Buffer.alloc(0), acl: this.acl };
      const { error } = await this.session.send(opCode.create, (writer) => writeOperation(writer, operation));
      if (error !== 0 && error !== zooKeeperErrors.nodeExists) throw this.session.errorOf(error, path);
    }
  }

  /** The server catches up with the others before it answers. */
  private async sync(path: string): Promise<void> {
    await this.session.send(opCode.sync, (writer) => writer.text(path));
  }
}

/** The order of code points is that of UTF-8. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
