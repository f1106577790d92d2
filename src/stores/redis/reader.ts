import { setTimeout as delay } from 'node:timers/promises';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import type { DownMark } from '../../routing/backend.ts';
import { backendsMax } from '../../routing/record.ts';
import type {
  OptionRecord,
  RouteRecord,
  StoredCertificate,
  StoredInstance,
  StoredOptions,
  StoredRoute,
} from '../contract.ts';
import type { FailuresByUrl } from '../failures.ts';
import { noOptions, optionsOfRoute, routeOfOptions } from '../option-record.ts';
import { identitiesOf } from '../record-edit.ts';
import type { RedisCommand, RedisConnection } from './connection.ts';
import type { DeadSets } from './dead-sets.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { isDenied, isWrongType, redisError } from './errors.ts';
import { recentFailures } from './failed-hash.ts';
import { toInstances } from './instances.ts';
import type { RedisKeys, RedisRecord } from './keys.ts';
import { markOfDeadSet, parseMarks, writtenIndexes } from './marks.ts';
import { readText } from './note-hash.ts';
import { readOptions } from './option-hash.ts';

/** The index up to which a list is read: the identifier, the backends that count, and one more, which says that there are more. */
const lastElement = String(backendsMax + 1);
/** The place of the options among the replies for one route. */
const optionsAt = 2;
/** Keys that one SCAN examines. */
const scanCount = '1000';
/** Patterns that a listing remembers between its pages. With more, listing fails. */
const listedMax = 5_000_000;
/** Pauses between two checks whether a replica has received a write. */
const replicaPauses = { firstMs: 1, longestMs: 50 };

/** How to read the dead sets of Hipache 0.4. */
export interface DeadSetReading {
  readonly sets: DeadSets;
  /** Whether an external checker runs. Its marks then take precedence over the others. */
  readonly checker: boolean;
}

/** A listing between two of its pages. */
interface Listing {
  readonly patterns: readonly string[];
  /** The last pattern of the previous page, and the position of the next one. */
  after: string;
  position: number;
}

/** One server that records are read from, or a cluster of them. */
export interface RedisReads {
  readonly endpoint: RedisEndpoint;
  /** The servers that keep records. */
  readonly servers: readonly Pick<RedisConnection, 'send'>[];
  /**
   * Sends commands together, each of which has its only key as its first argument. Resolves with their replies, each of
   * which may be an error.
   * @throws HipacheError if a server cannot be reached.
   */
  send(commands: readonly RedisCommand[]): Promise<unknown[]>;
  /** Resolves when all changes before this call have been reported. @throws HipacheError if they may not have been. */
  settled(): Promise<void>;
  /** A number that stays the same while no key moves from one server to another. */
  layout(): Promise<number>;
}

/** Reads records. Every method throws HipacheErrors. */
export class RedisReader {
  private readonly connection: RedisReads;
  private readonly keys: RedisKeys;
  private readonly onProblem: ((problem: string) => void) | null;
  private readonly listings = new Map<RedisRecord, Listing>();

  /** @param onProblem is called with a problem that all routes have; null: it is a diagnostic of each. */
  constructor(connection: RedisReads, keys: RedisKeys, onProblem: ((problem: string) => void) | null) {
    this.connection = connection;
    this.keys = keys;
    this.onProblem = onProblem;
  }

  async readRoutes(patterns: readonly string[], dead: DeadSetReading | null): Promise<(StoredRoute | null)[]> {
    const keys = this.keys;
    const each = dead === null ? 3 : 5;
    const commands: RedisCommand[] = [];
    for (const pattern of patterns) {
      commands.push(['LRANGE', keys.of('frontend', pattern), '0', lastElement]);
      commands.push(['HGETALL', keys.of('down', pattern)], ['HGETALL', keys.of('options', pattern)]);
      if (dead === null) continue;
      const set = keys.of('dead', pattern);
      commands.push(['SMEMBERS', set], ['PTTL', set]);
    }
    const replies = await this.connection.send(commands);
    this.checked(replies.filter((reply, i) => i % each !== optionsAt || !isDenied(reply)));
    const nowMs = Date.now();
    return patterns.map((pattern, i) => {
      const [list, hash, fields, set, ttl] = replies.slice(i * each, (i + 1) * each);
      const down = isWrongType(hash) ? new Map<string, DownMark>() : parseMarks(hash as string[]);
      const options = this.optionsOf(pattern, fields);
      const diagnostics = [...(options?.problems ?? [])];
      if (isWrongType(hash)) {
        diagnostics.push(
          `the key ${keys.of('down', pattern)} is not a hash, so marks of other processes are not seen; DEL it`,
        );
      }
      if (isWrongType(set)) {
        diagnostics.push(`the key ${keys.of('dead', pattern)} is not a set, so marks in it are not seen; DEL it`);
      }
      if (isWrongType(list)) {
        const problem = `the key ${keys.of('frontend', pattern)} is not a list; DEL it, or set the route anew`;
        return { frontend: [null], down, problem, diagnostics, ...optionsOfRoute(options) };
      }
      const frontend = list as string[];
      if (frontend.length > backendsMax + 1) {
        frontend.length = backendsMax + 1;
        diagnostics.push(`backends after the first ${backendsMax} are not read`);
      }
      if (dead !== null) addDeadSet(pattern, frontend, down, { dead, hash, set, ttlMs: Number(ttl), nowMs });
      if (frontend.length === 0) return routeOfOptions(options);
      return { frontend, down, diagnostics, ...optionsOfRoute(options) };
    });
  }

  async readOptions(patterns: readonly string[]): Promise<(StoredOptions | null)[]> {
    const keys = patterns.map((pattern) => this.keys.of('options', pattern));
    const replies = await this.send(keys.map((key) => ['HGETALL', key]));
    return keys.map((key, i) => readOptions(key, replies[i]));
  }

  async readCertificates(patterns: readonly string[]): Promise<(StoredCertificate | null)[]> {
    const commands = patterns.map((pattern) => ['HMGET', this.keys.of('tls', pattern), 'certificate', 'key']);
    const replies = await this.send(commands);
    return replies.map((reply, i) => {
      const name = this.keys.of('tls', patterns[i] as string);
      if (isWrongType(reply)) return broken(`the key ${name} is not a hash; "hipache cert set" replaces it`);
      const [certificate, key] = reply as [string | null, string | null];
      if (certificate === null && key === null) return null;
      if (certificate === null) return broken(`the key ${name} has no field "certificate"`);
      return key === null ? broken(`the key ${name} has no field "key"`) : { certificate, key };
    });
  }

  async readExpiry(pattern: string): Promise<number | null> {
    const [ttlMs] = await this.send([['PTTL', this.keys.of('frontend', pattern)]]);
    return Number(ttlMs) >= 0 ? Date.now() + Number(ttlMs) : null;
  }

  async readFailures(pattern: string): Promise<FailuresByUrl> {
    const [hash] = await this.send([['HGETALL', this.keys.failed(pattern)]]);
    return recentFailures(hash, Date.now());
  }

  /** The current records of the patterns that follow `after`. */
  listRoutes(after: string, limit: number): Promise<RouteRecord[]> {
    return this.list('frontend', after, limit, {
      command: (key) => ['LRANGE', key, '0', lastElement],
      read(pattern, reply) {
        const frontend = isWrongType(reply) ? [null] : (reply as string[]);
        return frontend.length > 0 ? { pattern, frontend } : null;
      },
    });
  }

  /** The current records of the patterns that follow `after`. */
  listOptions(after: string, limit: number): Promise<OptionRecord[]> {
    return this.list('options', after, limit, {
      command: (key) => ['HGETALL', key],
      read(pattern, reply) {
        const stored = readOptions(pattern, reply);
        return stored === null ? null : { pattern, options: stored.options };
      },
    });
  }

  async listCertificates(after: string, limit: number): Promise<string[]> {
    const page = take(await this.listing('tls', after), limit);
    if (page.length === 0) this.listings.delete('tls');
    return page;
  }

  async listInstances(): Promise<StoredInstance[]> {
    const [found] = await this.send([['ZRANGE', this.keys.instances, '0', '-1']]);
    if (!Array.isArray(found)) return [];
    const ids = found.map(String);
    return toInstances(ids, await this.send(ids.map((id) => ['HGETALL', this.keys.instance(id)])));
  }

  /** The operator's word; see `Acceptance`. It is a hash, for which every account that edits routes has the rights. */
  async accepted(): Promise<string | null> {
    const [reply] = await this.send([['HMGET', this.keys.accepted, 'text']]);
    return readText(reply);
  }

  /** The revision. Every change that precedes it has been reported. */
  async revision(): Promise<number> {
    const revision = Number(await this.get(this.keys.revision)) || 0;
    await this.connection.settled();
    return revision;
  }

  /** The value of one key; null if it is not a string. */
  async get(key: string): Promise<unknown> {
    const [value] = await this.send([['GET', key]]);
    return isWrongType(value) ? null : value;
  }

  /**
   * Resolves once this server, a replica, has the write that made `revision`. If the primary has lost its data and
   * counts from the start, that is too early until the replica has followed.
   */
  async reached(revision: number, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    const pauses = new BackOff(replicaPauses);
    for (;;) {
      if (Number(await this.get(this.keys.revision)) >= revision) return;
      if (performance.now() > endMs) {
        throw new HipacheError(
          'STORE_UNAVAILABLE',
          `${this.connection.endpoint.name}: the change was made at the primary, but is not at this replica after ` +
            `${timeoutMs} ms; see its replication`,
        );
      }
      await delay(pauses.next());
    }
  }

  /** Without the right that earlier versions did not need, routes are served. */
  private optionsOf(pattern: string, reply: unknown): StoredOptions | null {
    if (!isDenied(reply)) return readOptions(this.keys.of('options', pattern), reply);
    const keys = this.keys.of('options', '*');
    const problem = `its user may not read ${keys}, so hosts have no options; grant it %R~${keys}, see docs/redis.md`;
    this.onProblem?.(problem);
    return { options: noOptions, problems: this.onProblem === null ? [problem] : [] };
  }

  /** The next records of a kind. @param read null for a record that has gone. */
  private async list<Found>(
    record: RedisRecord,
    after: string,
    limit: number,
    { command, read }: { command(key: string): RedisCommand; read(pattern: string, reply: unknown): Found | null },
  ): Promise<Found[]> {
    const listing = await this.listing(record, after);
    const found: Found[] = [];
    while (found.length < limit) {
      const page = take(listing, limit - found.length);
      if (page.length === 0) break;
      const replies = await this.send(page.map((pattern) => command(this.keys.of(record, pattern))));
      found.push(...page.flatMap((pattern, i) => read(pattern, replies[i]) ?? []));
    }
    if (found.length === 0) this.listings.delete(record);
    return found;
  }

  /**
   * The listing that continues after `after`, or a new one. Redis keeps keys in no order, and any program may write
   * them, so the first page examines all of them; each later page only reads its own records.
   */
  private async listing(record: RedisRecord, after: string): Promise<Listing> {
    const known = this.listings.get(record);
    if (known !== undefined && after !== '' && known.after === after) return known;
    const patterns = new Set<string>();
    const layout = await this.connection.layout();
    await this.scan(record, patterns);
    // A key that moves to a server that has been scanned is seen there the second time.
    if ((await this.connection.layout()) !== layout) await this.scan(record, patterns);
    const sorted = [...patterns].sort(compareCodePoints);
    let position = sorted.findIndex((pattern) => compareCodePoints(pattern, after) > 0);
    if (position === -1) position = sorted.length;
    const listing = { patterns: sorted, after, position };
    this.listings.set(record, listing);
    return listing;
  }

  /** Adds the pattern of every key of a record. */
  private async scan(record: RedisRecord, patterns: Set<string>): Promise<void> {
    for (const server of this.connection.servers) {
      let cursor = '0';
      do {
        const replies = await server.send([['SCAN', cursor, 'MATCH', this.keys.glob(record), 'COUNT', scanCount]]);
        const [next, keys] = this.checked(replies)[0] as [string, string[]];
        for (const key of keys) patterns.add(this.keys.parse(key)?.pattern ?? '');
        if (patterns.size > listedMax) {
          throw new HipacheError('STORE_UNSUPPORTED', `there are more than ${listedMax} records; use redis-cli --scan`);
        }
        cursor = String(next);
      } while (cursor !== '0');
    }
  }

  private async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    return this.checked(await this.connection.send(commands));
  }

  private checked(replies: unknown[]): unknown[] {
    const failed = replies.find((reply) => reply instanceof Error && !isWrongType(reply));
    if (failed !== undefined) throw redisError(failed, this.connection.endpoint.name);
    return replies;
  }
}

function addDeadSet(
  pattern: string,
  frontend: readonly string[],
  down: Map<string, DownMark>,
  {
    dead,
    hash,
    set,
    ttlMs,
    nowMs,
  }: { dead: DeadSetReading; hash: unknown; set: unknown; ttlMs: number; nowMs: number },
): void {
  if (!Array.isArray(set) || frontend.length === 0) return;
  const identities = set.length === 0 ? none : identitiesOf(frontend);
  const written = set.length === 0 ? unwritten : backendsByIndex(hash);
  for (const url of dead.sets.resolve(pattern, frontend, set as string[], written)) {
    // Each mark prolongs the whole set. A backend that is also marked by URL has its own end.
    if (!identities.has(url) || (down.has(url) && !dead.checker)) continue;
    down.set(url, markOfDeadSet(nowMs, ttlMs));
  }
}

const none: ReadonlySet<string> = new Set();
const unwritten: ReadonlyMap<number, string> = new Map();

/** The backends of the indexes in the dead set that the marks of a hash name. */
function backendsByIndex(hash: unknown): ReadonlyMap<number, string> {
  const backends = new Map<number, string>();
  const fields = isWrongType(hash) ? [] : (hash as string[]);
  for (let i = 0; i + 1 < fields.length; i += 2) {
    for (const index of writtenIndexes(fields[i + 1] as string)) backends.set(index, fields[i] as string);
  }
  return backends;
}

function take(listing: Listing, limit: number): string[] {
  const page = listing.patterns.slice(listing.position, listing.position + limit);
  listing.position += page.length;
  listing.after = page.at(-1) ?? listing.after;
  return page;
}

function broken(problem: string): StoredCertificate {
  return { certificate: '', key: '', problem };
}

/** Compares by code points; JavaScript itself compares UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    const surrogates = Number(isSurrogate(left)) - Number(isSurrogate(right));
    return surrogates === 0 ? left - right : surrogates;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
