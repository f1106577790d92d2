import { type Clock, systemClock } from '../../base/clock.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { RateLimitedLog } from '../../base/rate-limited-log.ts';
import type {
  Acceptance,
  CertificateCollection,
  ChangeListener,
  CollectionName,
  FailureCollection,
  InstanceCollection,
  MarkCollection,
  NoteCollection,
  OptionCollection,
  RouteCollection,
  Store,
  StoreCapabilities,
} from '../contract.ts';
import { checked } from '../key-value/checked.ts';
import { collectionOf } from '../key-value/client.ts';
import { keyValueCollections } from '../key-value/collections.ts';
import { readFields } from '../key-value/records.ts';
import { RevisionPoll } from '../revision-poll.ts';
import { defaultEtcdTimings, EtcdCluster, type EtcdTimings } from './cluster.ts';
import { parseEtcdUrls } from './endpoints.ts';
import { changesPerTransaction, EtcdClient } from './etcd-client.ts';
import { EtcdKeys } from './keys.ts';
import { EtcdWatch } from './watch.ts';

export interface EtcdStoreOptions {
  /** Whether the proxy serves from the store: it then opens even if no member can be reached yet. Default false. */
  readonly serving?: boolean;
  /** Only looks for the revision, so often, in ms. Default: watches every change. */
  readonly pollMs?: number | undefined;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  readonly clock?: Clock;
  readonly timings?: Partial<EtcdTimings>;
}

/**
 * Opens the store in the etcd cluster of these URLs.
 * @throws HipacheError COMMAND_INVALID; unless `serving`, why the cluster cannot be used.
 */
export async function openEtcd(urls: readonly string[], options: EtcdStoreOptions = {}): Promise<Store> {
  const store = new EtcdStore(urls, options);
  return options.serving === true ? store : checked(store, () => store.instances.revision());
}

/** Routes, marks and certificates in etcd 3, as JSON under Hipache 0.4's names. */
class EtcdStore implements Store {
  readonly capabilities: StoreCapabilities = { changes: 'push', changesPerTransaction, expires: true };
  readonly routes: RouteCollection;
  readonly options: OptionCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection;
  readonly instances: InstanceCollection;
  private readonly pollMs: number | undefined;
  private readonly keys: EtcdKeys;
  private readonly cluster: EtcdCluster;
  private readonly watching: EtcdWatch;
  private readonly problemLog: RateLimitedLog;
  private listener: ChangeListener | null = null;
  private poll: RevisionPoll | null = null;
  private isListening = false;

  constructor(urls: readonly string[], options: EtcdStoreOptions) {
    this.pollMs = options.pollMs;
    const endpoints = parseEtcdUrls(urls);
    const timings = { ...defaultEtcdTimings, ...options.timings };
    const { log } = options;
    this.problemLog = new RateLimitedLog((what, fields) => log?.warn(what, fields), options.clock ?? systemClock);
    this.keys = new EtcdKeys(endpoints.prefix);
    this.cluster = new EtcdCluster(endpoints, timings);
    const client = new EtcdClient(this.cluster, this.keys);
    const collections = keyValueCollections(client, this.capabilities, (key) => this.keys.nameOf(key));
    this.routes = collections.routes;
    this.options = collections.options;
    this.marks = collections.marks;
    this.certificates = collections.certificates;
    this.failures = collections.failures;
    this.acceptance = collections.acceptance;
    this.notes = collections.notes;
    this.instances = {
      revision: () => client.revision(),
      write: (id, fields, ttlMs) => client.putFor(this.keys.instance(id), JSON.stringify(fields), ttlMs),
      remove: (id) => client.remove(this.keys.instance(id)),
      list: async () =>
        (await client.readAll(this.keys.instances)).map(({ key, value }) => ({
          instance: this.keys.instanceOf(key),
          fields: readFields(value),
        })),
    };
    this.watching = new EtcdWatch(this.cluster, this.keys.range(null), timings, {
      ready: () => this.onReady(),
      lost: (error) => this.listener?.lost(error),
      failed: (error) => this.onFailed(error),
      changed: (keys) => this.onChanged(keys),
    });
  }

  async watch(listener: ChangeListener): Promise<void> {
    this.listener = listener;
    const { pollMs } = this;
    if (pollMs !== undefined) {
      this.poll = new RevisionPoll(
        pollMs,
        () => this.instances.revision(),
        () => this.listener?.revised?.(),
      );
      return;
    }
    await this.watching.start();
    const { error } = this.watching;
    if (this.listener === null) throw this.cluster.closedError();
    if (error !== null) listener.lost(error);
    this.isListening = true;
  }

  async close(): Promise<void> {
    this.listener = null;
    this.poll?.close();
    this.watching.close();
    this.cluster.close();
  }

  /** `restored` follows `lost`, and not the first attempt. */
  private onReady(): void {
    if (this.isListening) this.listener?.restored();
  }

  private onFailed(error: HipacheError): void {
    this.problemLog.report(`the store cannot be used; trying again (${error.code})`, { error });
  }

  private onChanged(keys: readonly Buffer[]): void {
    const patterns = new Map<CollectionName, Set<string>>();
    let isRevised = false;
    for (const key of keys) {
      if (key.equals(this.keys.revision)) isRevised = true;
      const known = this.keys.parse(key);
      const collection = known === null ? undefined : collectionOf[known.kind];
      if (known === null || collection === undefined) continue;
      const changed = patterns.get(collection) ?? new Set();
      patterns.set(collection, changed.add(known.pattern));
    }
    for (const [collection, changed] of patterns) this.listener?.changed(collection, [...changed]);
    if (isRevised) this.listener?.revised?.();
  }
}
