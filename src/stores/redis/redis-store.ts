import { type Clock, systemClock } from '../../base/clock.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { RateLimitedLog } from '../../base/rate-limited-log.ts';
import type { DownMark } from '../../routing/backend.ts';
import type {
  CertificateCollection,
  ChangeListener,
  InstanceCollection,
  MarkCollection,
  RouteCollection,
  Store,
  StoreCapabilities,
} from '../contract.ts';
import { CheckerWatch } from './checker-watch.ts';
import { defaultRedisTimings, RedisConnection, type RedisTimings } from './connection.ts';
import { DeadSets } from './dead-sets.ts';
import {
  addEdit,
  type RedisEdit,
  removeCertificateEdit,
  removeEdit,
  removeMarkEdit,
  setEdit,
  writeCertificateEdit,
  writeMarkEdit,
} from './edits.ts';
import { parseRedisUrls, type RedisEndpoints } from './endpoint.ts';
import { errorKind, isStarting } from './errors.ts';
import { checkerKey, collectionOf, RedisKeys } from './keys.ts';
import { type DeadSetReading, RedisReader } from './reader.ts';
import { RedisWriter } from './writer.ts';

export interface RedisStoreOptions {
  /**
   * Whether the store is one to serve from: one that is not there is waited for, for ever, and asked to tell of
   * changes from the start. Else opening fails where it cannot be reached. Default false.
   */
  readonly serving?: boolean;
  /** Whether Hipache's own dead sets are read and written; `auto`: while an external checker runs. Default `auto`. */
  readonly deadSet?: boolean | 'auto';
  /** How long what was read holds where the server cannot tell of changes, in ms, at least 10. Default 1000. */
  readonly ttlMs?: number;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  readonly clock?: Clock;
  readonly timings?: Partial<RedisTimings>;
}

/** How long what was read holds where the server cannot tell of changes, in ms. */
const ttlDefaultMs = 1000;
const ttlMinMs = 10;
/** Longest time that a timer of Node can wait, in ms. */
const timerMaxMs = 2 ** 31 - 1;
/** How long opening waits for a server that is still loading, in ms. */
const startingMs = 3000;

/**
 * Opens the store of one Redis URL, or of the pair of a replica and its primary.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED; unless `serving`, what keeps from reaching it.
 */
export async function openRedis(urls: readonly string[], options: RedisStoreOptions = {}): Promise<Store> {
  const store = new RedisStore(parseRedisUrls(urls), options);
  const error = await store.opened();
  if (error === null || options.serving === true) return store;
  await store.close();
  throw error;
}

/**
 * Routes, marks and certificates in Redis, in the records of Hipache 0.4 and PlanB. Reads over one connection, which
 * is told of every change to what was read on it (CLIENT TRACKING); writes over another one.
 */
class RedisStore implements Store {
  readonly routes: RouteCollection = {
    read: (patterns) => this.#reader.readRoutes(patterns, this.#deadSetReading()),
    set: (pattern, id, urls) => this.#write(setEdit(this.#keys, pattern, id, urls)),
    add: (pattern, urls) => this.#write(addEdit(this.#keys, pattern, urls)),
    remove: (pattern, urls) => this.#write(removeEdit(this.#keys, pattern, urls)),
    list: (after, limit) => this.#reader.listRoutes(after, limit),
  };
  readonly marks: MarkCollection = {
    write: (pattern, url, mark) => this.#writeMark(pattern, url, mark),
    remove: (pattern, url) => this.#write(removeMarkEdit(this.#keys, pattern, url, this.#deadSet === true)),
  };
  readonly certificates: CertificateCollection = {
    read: (patterns) => this.#reader.readCertificates(patterns),
    write: (pattern, pair) => this.#write(writeCertificateEdit(this.#keys, pattern, pair)),
    remove: (pattern) => this.#write(removeCertificateEdit(this.#keys, pattern)),
    list: (after, limit) => this.#reader.listCertificates(after, limit),
  };
  readonly instances: InstanceCollection = {
    revision: async () => Number(await this.#reader.get(this.#keys.revision)) || 0,
    write: (instance, fields, ttlMs) => {
      const key = this.#keys.instance(instance);
      const hash = ['HSET', key, ...Object.entries(fields).flat()];
      return this.#writer.tell([['DEL', key], hash, ['EXPIRE', key, String(Math.ceil(ttlMs / 1000))]]);
    },
    remove: (instance) => this.#writer.tell([['DEL', this.#keys.instance(instance)]]),
  };
  readonly #options: RedisStoreOptions;
  readonly #log: Pick<Log, 'info' | 'warn'>;
  readonly #rare: RateLimitedLog;
  readonly #keys: RedisKeys;
  readonly #connection: RedisConnection;
  readonly #reader: RedisReader;
  readonly #writer: RedisWriter;
  /** Whether what is written has to come to the server that is read. */
  readonly #replicated: boolean;
  readonly #replicaTimeoutMs: number;
  readonly #deadSet: boolean | 'auto';
  readonly #deadSets = new DeadSets();
  readonly #checker: CheckerWatch;
  #listener: ChangeListener | null = null;
  #expiry: NodeJS.Timeout | null = null;
  #saidUntracked = false;
  #closed = false;

  constructor(endpoints: RedisEndpoints, options: RedisStoreOptions) {
    this.#options = options;
    this.#deadSet = options.deadSet ?? 'auto';
    this.#log = options.log ?? silent;
    this.#rare = new RateLimitedLog((what, fields) => this.#log.warn(what, fields), options.clock ?? systemClock);
    const timings = { ...defaultRedisTimings, ...options.timings };
    this.#replicaTimeoutMs = timings.replicaTimeoutMs;
    this.#keys = new RedisKeys(endpoints.prefix);
    this.#replicated = endpoints.reads !== endpoints.writes;
    this.#checker = new CheckerWatch({
      read: () => this.#reader.get(checkerKey),
      turned: (running) => this.#onChecker(running),
    });
    this.#connection = new RedisConnection(
      { endpoint: endpoints.reads, timings, tracking: options.serving ?? false },
      {
        ready: () => this.#onReady(),
        lost: (error) => this.#onLost(error),
        failed: (error) => this.#onFailed(error),
        changed: (key) => this.#onChanged(key),
      },
    );
    this.#reader = new RedisReader(this.#connection, this.#keys);
    this.#writer = new RedisWriter(endpoints.writes, timings, this.#keys.revision, (what) =>
      this.#rare.report(what, {}),
    );
  }

  get capabilities(): StoreCapabilities {
    return { changes: this.#expiry === null ? 'push' : 'expiry' };
  }

  /** Resolves with the outcome of the first attempt; a server that is loading gets a little longer. */
  async opened(): Promise<HipacheError | null> {
    const endMs = performance.now() + startingMs;
    for (;;) {
      const error = await this.#connection.attempted();
      if (error === null) await this.#look();
      if (error === null || !isStarting(error.cause) || performance.now() > endMs) return error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async watch(listener: ChangeListener): Promise<void> {
    await this.#connection.track();
    if (this.#closed) throw this.#connection.error;
    this.#listener = listener;
    if (!this.#connection.ready) listener.lost(this.#connection.error);
    else if (!this.#connection.tracked) this.#expireRegularly();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listener = null;
    this.#stopExpiry();
    this.#checker.close();
    this.#writer.close();
    this.#connection.close();
  }

  async #writeMark(pattern: string, url: string, mark: DownMark): Promise<void> {
    const checker = this.#checker.running;
    await this.#write(
      writeMarkEdit(this.#keys, pattern, url, mark, {
        checker,
        deadSets: this.#deadSet === true,
        nowMs: Date.now(),
        onIndex: (index) => this.#deadSets.bind(pattern, index, url),
      }),
    );
    // The checker decides: who has asked for the mark is to see what it has decided.
    if (checker) setImmediate(() => this.#listener?.changed('routes', [pattern]));
  }

  async #write<Result>(edit: RedisEdit<Result>): Promise<Result> {
    const { result, revision } = await this.#writer.run(edit);
    if (this.#replicated && revision !== null) await this.#reader.reached(revision, this.#replicaTimeoutMs);
    return result;
  }

  /** Whether the dead sets are of any interest at present. */
  #deadSetReading(): DeadSetReading | null {
    const checker = this.#checker.running;
    return this.#deadSet === true || checker ? { sets: this.#deadSets, checker } : null;
  }

  #onReady(): void {
    this.#deadSets.clear();
    void this.#look();
    if (this.#listener === null) return;
    if (!this.#connection.tracked) this.#expireRegularly();
    // Here belongs the guard against a store that comes back empty: before what is known counts as out of date.
    this.#listener.restored();
  }

  /** Whether a checker runs is only of interest where its set is honoured. */
  async #look(): Promise<void> {
    if (this.#deadSet !== false) await this.#checker.look();
  }

  #onLost(error: HipacheError): void {
    this.#stopExpiry();
    this.#listener?.lost(error);
  }

  #onFailed(error: HipacheError): void {
    if (this.#options.serving !== true) return;
    this.#rare.report(`the store cannot be used, and is tried again (${errorKind(error)})`, { error });
  }

  #onChanged(key: string | null): void {
    if (key === null) {
      // Everything was removed, or a replica has begun anew.
      void this.#look();
      this.#listener?.expired();
      return;
    }
    if (key === checkerKey) {
      void this.#look();
      return;
    }
    if (key === this.#keys.revision) {
      this.#listener?.revised?.();
      return;
    }
    const known = this.#keys.parse(key);
    if (known !== null) this.#listener?.changed(collectionOf[known.record], [known.pattern]);
  }

  #onChecker(running: boolean): void {
    this.#log.info(
      running
        ? 'an external checker runs: it alone marks backends dead, and is told of failures'
        : 'no external checker runs: backends are marked dead by those that meet their failures',
    );
    this.#listener?.expired();
  }

  #expireRegularly(): void {
    const ttlMs = Math.min(timerMaxMs, Math.max(ttlMinMs, this.#options.ttlMs ?? ttlDefaultMs));
    if (!this.#saidUntracked) {
      this.#saidUntracked = true;
      this.#log.warn(
        `the store cannot tell of changes, being older than Redis 6 or without HELLO and CLIENT: ` +
          `what is known is verified every ${ttlMs} ms`,
      );
    }
    this.#stopExpiry();
    this.#expiry = setInterval(() => {
      void this.#look();
      this.#listener?.expired();
    }, ttlMs);
  }

  #stopExpiry(): void {
    if (this.#expiry !== null) clearInterval(this.#expiry);
    this.#expiry = null;
  }
}

function ignore(): void {}

const silent: Pick<Log, 'info' | 'warn'> = { info: ignore, warn: ignore };
