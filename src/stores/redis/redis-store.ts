import { type Clock, systemClock } from '../../base/clock.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { RateLimitedLog } from '../../base/rate-limited-log.ts';
import type { DownMark } from '../../routing/backend.ts';
import type {
  Acceptance,
  CertificateCollection,
  ChangeListener,
  FailureCollection,
  InstanceCollection,
  MarkCollection,
  NoteCollection,
  OptionCollection,
  RouteCollection,
  Store,
  StoreCapabilities,
} from '../contract.ts';
import { RevisionPoll } from '../revision-poll.ts';
import { editingBy } from '../route-editing.ts';
import { CheckerWatch } from './checker-watch.ts';
import { defaultRedisTimings, type RedisTimings } from './connection.ts';
import { DeadSets } from './dead-sets.ts';
import {
  changeEdit,
  composeEdits,
  putEdit,
  type RedisEdit,
  removeCertificateEdit,
  writeCertificateEdit,
} from './edits.ts';
import { parseRedisUrls, type RedisEndpoint, type RedisEndpoints } from './endpoint.ts';
import { errorSummary, isStarting } from './errors.ts';
import { whyEvicted } from './eviction.ts';
import { addFailuresEdit } from './failed-hash.ts';
import { removeInstance, writeInstance } from './instances.ts';
import { checkerKey, collectionOf, RedisKeys } from './keys.ts';
import { type DeadSetKnowledge, removeMarkEdit, writeMarkEdit } from './mark-edits.ts';
import { readDueNamesEdit, readDueNotesEdit, readNoteEdit, writeNoteEdit } from './note-hash.ts';
import { changeOptionsEdit, putOptionsEdit } from './option-hash.ts';
import { type DeadSetReading, RedisReader } from './reader.ts';
import { connectServers, type RecordServers } from './servers.ts';

export interface RedisStoreOptions {
  /**
   * Whether the proxy serves from the store. It then opens even if the server cannot be reached yet, keeps trying, and
   * tracks changes from the start. Otherwise opening fails. Default false.
   */
  readonly serving?: boolean;
  /** Only looks for the revision, so often, in ms. Default: reports every change. */
  readonly pollMs?: number | undefined;
  /** Whether to read and write the dead sets of Hipache 0.4. `auto`: while an external checker runs. Default `auto`. */
  readonly deadSet?: boolean | 'auto';
  /** How long a reading holds if the server cannot report changes, in ms, at least 10. Default 1000. */
  readonly ttlMs?: number;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  readonly clock?: Clock;
  readonly timings?: Partial<RedisTimings>;
}

/** How long a reading holds if the server cannot report changes, in ms. */
const ttlDefaultMs = 1000;
const ttlMinMs = 10;
/** The longest delay of a timer in Node, in ms. */
const timerMaxMs = 2 ** 31 - 1;
/** Records that are put in one transaction. */
const recordsPerEdit = 500;
/** How long opening waits for a server that is still loading, in ms. */
const startingMs = 3000;

/**
 * Opens the store of one Redis URL, or of the pair of a replica and its primary.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED; unless `serving`, why the server cannot be used.
 */
export async function openRedis(urls: readonly string[], options: RedisStoreOptions = {}): Promise<Store> {
  const store = new RedisStore(parseRedisUrls(urls), options);
  const error = await store.opened();
  if (error === null || options.serving === true) return store;
  await store.close();
  throw error;
}

/**
 * Routes, marks and certificates in Redis, in the records of Hipache 0.4 and PlanB. It reads over one connection, on
 * which Redis reports every change to what was read there (CLIENT TRACKING), and writes over another one; in a cluster,
 * over two to each primary.
 */
class RedisStore implements Store {
  readonly whyUnchanged =
    'another program writes the same content again, or writes equal keys of another database of this server';
  readonly routes: RouteCollection = {
    read: (patterns) => this.reader.readRoutes(patterns, this.deadSetReading()),
    ...editingBy(
      () => this.capabilities,
      (changes) => this.write(composeEdits(changes.map((change) => changeEdit(this.keys, change)))),
    ),
    put: (records) => this.putAll(records, putEdit),
    list: (after, limit) => this.reader.listRoutes(after, limit),
    expiry: (pattern) => this.reader.readExpiry(pattern),
  };
  readonly options: OptionCollection = {
    read: (patterns) => this.reader.readOptions(patterns),
    change: (pattern, changes) => this.write(changeOptionsEdit(this.keys, pattern, changes)),
    put: (records) => this.putAll(records, putOptionsEdit),
    list: (after, limit) => this.reader.listOptions(after, limit),
  };
  readonly marks: MarkCollection = {
    write: (pattern, url, mark) => this.writeMark(pattern, url, mark),
    remove: (pattern, url) => this.write(removeMarkEdit(this.keys, pattern, url, this.deadSetKnowledge(pattern))),
  };
  readonly certificates: CertificateCollection = {
    read: (patterns) => this.reader.readCertificates(patterns),
    write: (pattern, pair) => this.write(writeCertificateEdit(this.keys, pattern, pair)),
    remove: (pattern) => this.write(removeCertificateEdit(this.keys, pattern)),
    list: (after, limit) => this.reader.listCertificates(after, limit),
  };
  readonly failures: FailureCollection = {
    add: (pattern, failures) => this.write(addFailuresEdit(this.keys, pattern, failures, Date.now())),
    read: (pattern) => this.reader.readFailures(pattern),
  };
  readonly instances: InstanceCollection = {
    revision: () => this.reader.revision(),
    write: (instance, fields, ttlMs) =>
      this.writer.writeUncounted(writeInstance(this.keys, instance, fields, ttlMs, Date.now())),
    remove: (instance) => this.writer.writeUncounted(removeInstance(this.keys, instance)),
    list: () => this.reader.listInstances(),
  };
  readonly acceptance: Acceptance = {
    read: () => this.reader.accepted(),
    write: (text) => this.writer.writeUncounted([['HSET', this.keys.accepted, 'text', text]]),
  };
  readonly notes: NoteCollection = {
    read: (name) => this.write(readNoteEdit(this.keys, name)),
    write: (name, text, condition = {}) => this.write(writeNoteEdit(this.keys, name, text, condition)),
    due: async (atMs, limit) => {
      const names = await this.write(readDueNamesEdit(this.keys, atMs, limit));
      return names.length === 0 ? [] : await this.write(readDueNotesEdit(this.keys, names));
    },
  };
  private readonly settings: RedisStoreOptions;
  private readonly log: Pick<Log, 'info' | 'warn'>;
  private readonly problemLog: RateLimitedLog;
  private readonly keys: RedisKeys;
  private readonly connection: RecordServers['connection'];
  private readonly reader: RedisReader;
  private readonly writer: RecordServers['writer'];
  private readonly closeServers: () => void;
  /** Whether a write has to reach another server, the one that is read. */
  private readonly replicated: boolean;
  /** In a cluster, no transaction has keys of several nodes. */
  private readonly changesPerTransaction: number;
  private readonly replicaTimeoutMs: number;
  private readonly deadSet: boolean | 'auto';
  private readonly deadSets = new DeadSets();
  private readonly checker: CheckerWatch;
  private listener: ChangeListener | null = null;
  private poll: RevisionPoll | null = null;
  private expiry: NodeJS.Timeout | null = null;
  private hasWarned = false;
  /** Names of the servers that refused the user of their URL. */
  private readonly withoutUser = new Set<string>();
  private closed = false;

  constructor(endpoints: RedisEndpoints, options: RedisStoreOptions) {
    this.settings = options;
    this.deadSet = options.deadSet ?? 'auto';
    this.log = options.log ?? silent;
    this.problemLog = new RateLimitedLog((what, fields) => this.log.warn(what, fields), options.clock ?? systemClock);
    const timings = { ...defaultRedisTimings, ...options.timings };
    this.replicaTimeoutMs = timings.replicaTimeoutMs;
    this.keys = new RedisKeys(endpoints.prefix);
    this.replicated = endpoints.reads !== endpoints.writes;
    this.changesPerTransaction = endpoints.reads.cluster === null ? 10_000 : 1;
    this.checker = new CheckerWatch({
      read: () => this.reader.get(checkerKey),
      turned: (running) => this.onChecker(running),
    });
    const servers = connectServers(endpoints, {
      timings,
      tracking: options.serving === true && options.pollMs === undefined,
      reported: this.keys.reported,
      revisionKey: this.keys.revision,
      events: {
        ready: () => this.onReady(),
        lost: (error) => this.onLost(error),
        failed: (error) => this.onFailed(error),
        changed: (key) => this.onChanged(key),
      },
      onProblem: (what) => this.problemLog.report(what, {}),
      onUserIgnored: (endpoint) => this.onUserIgnored(endpoint),
    });
    this.connection = servers.connection;
    this.writer = servers.writer;
    this.closeServers = () => servers.close();
    const report = (problem: string) => this.problemLog.report(`${this.connection.endpoint.name}: ${problem}`, {});
    // A proxy would log the same problem for each route.
    this.reader = new RedisReader(this.connection, this.keys, options.serving === true ? report : null);
  }

  get capabilities(): StoreCapabilities {
    const { changesPerTransaction } = this;
    return { changes: this.expiry === null ? 'push' : 'expiry', changesPerTransaction, expires: true };
  }

  /** The outcome of the first attempt to connect. A server that is still loading gets a little longer. */
  async opened(): Promise<HipacheError | null> {
    const endMs = performance.now() + startingMs;
    for (;;) {
      const error = await this.connection.attempted();
      if (error === null) await this.look();
      if (error === null || !isStarting(error.cause) || performance.now() > endMs) return error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async watch(listener: ChangeListener): Promise<void> {
    const { pollMs } = this.settings;
    if (pollMs === undefined) await this.connection.track();
    if (this.closed) throw this.connection.error;
    this.listener = listener;
    if (pollMs !== undefined) {
      this.poll = new RevisionPoll(
        pollMs,
        () => this.reader.revision(),
        () => listener.revised?.(),
      );
    }
    this.writer.open();
    if (!this.connection.ready) listener.lost(this.connection.error);
    else if (pollMs === undefined && !this.connection.tracked) this.expireRegularly();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.listener = null;
    this.poll?.close();
    this.stopExpiry();
    this.checker.close();
    this.closeServers();
  }

  private async putAll<Put>(
    records: readonly Put[],
    edit: (keys: RedisKeys, part: readonly Put[]) => RedisEdit<void>,
  ): Promise<void> {
    for (let from = 0; from < records.length; from += recordsPerEdit) {
      await this.write(edit(this.keys, records.slice(from, from + recordsPerEdit)));
    }
  }

  private async writeMark(pattern: string, url: string, mark: DownMark): Promise<boolean> {
    const checker = this.checker.running;
    await this.write(
      writeMarkEdit(this.keys, pattern, url, mark, {
        checker,
        deadSets: this.deadSet === true,
        nowMs: Date.now(),
        onIndexes: (indexes) => this.deadSets.bind(pattern, indexes, url),
      }),
    );
    return !checker;
  }

  private async write<Result>(edit: RedisEdit<Result>): Promise<Result> {
    const { result, revision } = await this.writer.run(edit);
    if (this.replicated && revision !== null) await this.reader.reached(revision, this.replicaTimeoutMs);
    return result;
  }

  private deadSetKnowledge(pattern: string): DeadSetKnowledge | null {
    return this.deadSet === true ? { bound: this.deadSets.boundIn(pattern), nowMs: Date.now() } : null;
  }

  /** How to read dead sets at present; null: not at all. */
  private deadSetReading(): DeadSetReading | null {
    const checker = this.checker.running;
    return this.deadSet === true || checker ? { sets: this.deadSets, checker } : null;
  }

  private onReady(): void {
    this.deadSets.clear();
    void this.look();
    if (this.settings.serving === true) void this.warnOfEviction();
    if (this.listener === null) return;
    if (this.poll === null && !this.connection.tracked) this.expireRegularly();
    this.listener.restored();
  }

  /** A checker only matters if its dead sets are read. */
  private async look(): Promise<void> {
    if (this.deadSet !== false) await this.checker.look();
  }

  private onLost(error: HipacheError): void {
    this.stopExpiry();
    this.listener?.lost(error);
  }

  private async warnOfEviction(): Promise<void> {
    for (const server of this.connection.servers) {
      const problem = await whyEvicted((commands) => server.send(commands)).catch(() => null);
      if (problem === null) continue;
      this.problemLog.report(`${this.connection.endpoint.name}: ${problem}`, {});
      return;
    }
  }

  private onFailed(error: HipacheError): void {
    if (this.settings.serving !== true) return;
    this.problemLog.report(`the store cannot be used; trying again (${errorSummary(error)})`, { error });
  }

  private onChanged(key: string | null): void {
    if (key === null) {
      // Everything was removed, or a replica has synchronised from the start.
      void this.look();
      this.listener?.expired();
      return;
    }
    if (key === checkerKey) {
      void this.look();
      return;
    }
    if (key === this.keys.revision) {
      this.listener?.revised?.();
      return;
    }
    const known = this.keys.parse(key);
    if (known !== null) this.listener?.changed(collectionOf[known.record], [known.pattern]);
  }

  private onUserIgnored({ name }: RedisEndpoint): void {
    if (this.withoutUser.has(name)) return;
    this.withoutUser.add(name);
    this.log.warn(
      `${name}: refuses the user of the driver URL, and accepts its password alone, which Hipache 0.4 sent: ` +
        'leave the user out, as in redis://:password@host',
    );
  }

  private onChecker(running: boolean): void {
    this.log.info(
      running
        ? 'an external checker runs: only it marks backends dead, and failures are reported to it'
        : 'no external checker runs: proxies mark backends dead themselves',
    );
    this.listener?.expired();
  }

  private expireRegularly(): void {
    const ttlMs = Math.min(timerMaxMs, Math.max(ttlMinMs, this.settings.ttlMs ?? ttlDefaultMs));
    if (!this.hasWarned) {
      this.hasWarned = true;
      this.log.warn(
        `the store cannot report changes, because it is older than Redis 6 or does not allow HELLO and CLIENT: ` +
          `known records are verified every ${ttlMs} ms`,
      );
    }
    this.stopExpiry();
    this.expiry = setInterval(() => {
      void this.look();
      this.listener?.expired();
    }, ttlMs);
  }

  private stopExpiry(): void {
    if (this.expiry !== null) clearInterval(this.expiry);
    this.expiry = null;
  }
}

function ignore(): void {}

const silent: Pick<Log, 'info' | 'warn'> = { info: ignore, warn: ignore };
