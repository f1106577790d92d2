import { HipacheError } from '../../base/errors.ts';
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
import { keyValueCollections } from '../key-value/collections.ts';
import { defaultMemcachedTimings, type MemcachedTimings } from './connection.ts';
import { parseMemcachedUrls } from './endpoints.ts';
import { MemcachedClient } from './memcached-client.ts';

export interface MemcachedStoreOptions {
  /** Whether the proxy serves from the store: it then opens even if a server cannot be reached yet. Default false. */
  readonly serving?: boolean;
  /** How long a reading holds, in ms. Default 1000. */
  readonly ttlMs?: number;
  readonly timings?: Partial<MemcachedTimings>;
}

const ttlDefaultMs = 1000;
const ttlMinMs = 10;

/**
 * Opens the store in a pool of memcached servers.
 * @throws HipacheError COMMAND_INVALID; unless `serving`, why a server cannot be used.
 */
export async function openMemcached(urls: readonly string[], options: MemcachedStoreOptions = {}): Promise<Store> {
  const store = new MemcachedStore(urls, options);
  return options.serving === true ? store : checked(store, () => store.check());
}

/**
 * Routes, marks and certificates in memcached, as JSON under Hipache 0.4's names. memcached reports no changes, so that
 * every reading ends after a time; and it can evict records, which is the operator's to prevent.
 */
class MemcachedStore implements Store {
  readonly capabilities: StoreCapabilities = { changes: 'expiry', changesPerTransaction: 1, expires: true };
  readonly routes: RouteCollection;
  readonly options: OptionCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection;
  /** Nobody could tell which of them has read a change. */
  readonly instances: InstanceCollection | null = null;
  private readonly client: MemcachedClient;
  private readonly name: string;
  private readonly ttlMs: number;
  private listener: ChangeListener | null = null;
  private timer: NodeJS.Timeout | null = null;
  private isLost = false;
  private closed = false;

  constructor(urls: readonly string[], options: MemcachedStoreOptions) {
    const pool = parseMemcachedUrls(urls);
    this.name = pool.name;
    this.ttlMs = Math.max(ttlMinMs, options.ttlMs ?? ttlDefaultMs);
    this.client = new MemcachedClient(pool, { ...defaultMemcachedTimings, ...options.timings });
    const collections = keyValueCollections(this.client, this.capabilities, (key) => this.client.nameOf(key));
    this.routes = collections.routes;
    this.options = collections.options;
    this.marks = collections.marks;
    this.certificates = collections.certificates;
    this.failures = collections.failures;
    this.acceptance = collections.acceptance;
    this.notes = collections.notes;
  }

  check(): Promise<void> {
    return this.client.check();
  }

  async watch(listener: ChangeListener): Promise<void> {
    if (this.closed) throw new HipacheError('STORE_UNAVAILABLE', `${this.name}: the store was closed`);
    this.listener = listener;
    await this.look();
    this.timer ??= setInterval(() => void this.look(), this.ttlMs);
  }

  /** Every reading ends now; unless the servers are gone, in which case it is the last that there is. */
  private async look(): Promise<void> {
    const error = await this.check().then(
      () => null,
      (reason: Error) => reason,
    );
    const { listener } = this;
    if (listener === null) return;
    const wasLost = this.isLost;
    this.isLost = error !== null;
    if (error === null && wasLost) listener.restored();
    else if (error === null) listener.expired();
    else if (!wasLost) listener.lost(error);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.listener = null;
    if (this.timer !== null) clearInterval(this.timer);
    this.client.close();
  }
}
