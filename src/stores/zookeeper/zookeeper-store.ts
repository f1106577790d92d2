import { type Clock, systemClock } from '../../base/clock.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { RateLimitedLog } from '../../base/rate-limited-log.ts';
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
import { checked } from '../key-value/checked.ts';
import { collectionOf } from '../key-value/client.ts';
import { keyValueCollections } from '../key-value/collections.ts';
import { readFields } from '../key-value/records.ts';
import { parseZooKeeperUrls } from './endpoints.ts';
import { encodeName, ZooKeeperKeys } from './keys.ts';
import { creatorAcl, openAcl } from './protocol.ts';
import { defaultZooKeeperTimings, ZooKeeperSession, type ZooKeeperTimings } from './session.ts';
import { ZooKeeperClient } from './zookeeper-client.ts';

export interface ZooKeeperStoreOptions {
  /** Whether the proxy serves from the store: it then opens even if no server can be reached yet. Default false. */
  readonly serving?: boolean;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  readonly clock?: Clock;
  readonly timings?: Partial<ZooKeeperTimings>;
}

/**
 * Opens the store in the ZooKeeper ensemble of these URLs.
 * @throws HipacheError COMMAND_INVALID; unless `serving`, why the ensemble cannot be used.
 */
export async function openZooKeeper(urls: readonly string[], options: ZooKeeperStoreOptions = {}): Promise<Store> {
  const store = new ZooKeeperStore(urls, options);
  await store.attempted();
  return options.serving === true ? store : checked(store, () => store.check());
}

/** Routes, marks and certificates in the nodes of ZooKeeper, as JSON under Hipache 0.4's paths. */
class ZooKeeperStore implements Store {
  readonly capabilities: StoreCapabilities = { changes: 'push', changesPerTransaction: 1000, expires: false };
  readonly routes: RouteCollection;
  readonly options: OptionCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection;
  readonly instances: InstanceCollection;
  private readonly keys: ZooKeeperKeys;
  private readonly session: ZooKeeperSession;
  private readonly client: ZooKeeperClient;
  private readonly problemLog: RateLimitedLog;
  private readonly isServing: boolean;
  private listener: ChangeListener | null = null;

  constructor(urls: readonly string[], options: ZooKeeperStoreOptions) {
    const ensemble = parseZooKeeperUrls(urls);
    const { log } = options;
    this.isServing = options.serving === true;
    this.problemLog = new RateLimitedLog((what, fields) => log?.warn(what, fields), options.clock ?? systemClock);
    this.keys = new ZooKeeperKeys(ensemble.root);
    this.session = new ZooKeeperSession(
      ensemble,
      { ...defaultZooKeeperTimings, ...options.timings },
      {
        ready: () => this.onReady(),
        lost: (error) => this.onLost(error),
        failed: (error) => this.onFailed(error),
        changed: (path) => this.onChanged(path),
      },
    );
    this.client = new ZooKeeperClient(this.session, this.keys, ensemble.account === null ? openAcl : creatorAcl);
    const collections = keyValueCollections(this.client, this.capabilities, (key) => this.keys.of(key));
    this.routes = collections.routes;
    this.options = collections.options;
    this.marks = collections.marks;
    this.certificates = collections.certificates;
    this.failures = collections.failures;
    this.acceptance = collections.acceptance;
    this.notes = collections.notes;
    const nodeOf = (id: string): string => `${this.keys.instances}/${encodeName(id)}`;
    this.instances = {
      revision: () => this.client.revision(),
      // Of an instance that has gone, the node ends with its session.
      write: (id, fields) => this.client.putEphemeral(nodeOf(id), JSON.stringify(fields)),
      remove: (id) => this.client.remove(nodeOf(id)),
      list: async () =>
        (await this.client.readAll(this.keys.instances)).map(({ name, value }) => ({
          instance: name,
          fields: readFields(value),
        })),
    };
  }

  /** Resolves once there is a session, or an attempt at every server has failed. */
  attempted(): Promise<void> {
    return this.session.attempted();
  }

  /** @throws HipacheError if the ensemble cannot be used. */
  async check(): Promise<void> {
    await this.client.revision();
  }

  async watch(listener: ChangeListener): Promise<void> {
    await this.session.attempted();
    this.listener = listener;
    this.client.isWatching = true;
    if (this.session.ready) this.watchRevision();
    else listener.lost(this.session.error);
  }

  async close(): Promise<void> {
    this.listener = null;
    this.session.close();
  }

  private onReady(): void {
    this.client.reset();
    if (this.listener === null) return;
    this.watchRevision();
    this.listener.restored();
  }

  private onLost(error: HipacheError): void {
    this.client.reset();
    this.listener?.lost(error);
  }

  private onFailed(error: HipacheError): void {
    if (this.isServing) this.problemLog.report(`the store cannot be used; trying again (${error.code})`, { error });
  }

  private onChanged(path: string): void {
    this.client.unwatched(path);
    if (path === this.keys.revision) {
      this.watchRevision();
      this.listener?.revised?.();
      return;
    }
    const known = this.keys.parse(path);
    const collection = known === null ? undefined : collectionOf[known.kind];
    if (known !== null && collection !== undefined) this.listener?.changed(collection, [known.pattern]);
  }

  /** To read it is to watch it. */
  private watchRevision(): void {
    this.client.revision().catch(() => {});
  }
}
