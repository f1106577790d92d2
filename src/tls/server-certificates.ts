import type { SecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { checkCertificate } from './certificate.ts';
import type { CertificateDirectory } from './certificate-directory.ts';
import { type ContextMaterial, changeTicketKeys, serverContext } from './server-context.ts';

/** Where certificates come from besides files: declared here, implemented by the drivers of `stores/`. */
export interface CertificateSource {
  /** Those of `patterns`, in their order, null where there is none. `problem` says why a record cannot be read. */
  readCertificates(
    patterns: readonly string[],
  ): Promise<readonly ({ readonly certificate: string; readonly key: string; readonly problem?: string } | null)[]>;
}

export interface ServerCertificatesOptions {
  readonly store: CertificateSource | null;
  readonly directory: CertificateDirectory | null;
  readonly ticketKeys: Uint8Array;
  /** Contexts kept, about 40 KB each. */
  readonly entriesMax: number;
  readonly clock: Clock;
  /** Told of each certificate that cannot be used, and of one that has expired. */
  readonly onProblem: (message: string) => void;
}

/** Names remembered to have no certificate of their own. */
const negativeEntriesMax = 10_000;
/** Names whose certificates are looked up at once; further ones wait. */
const lookupsMax = 64;
/** Handshakes that wait for their turn; further ones get the default at once. */
const waitingMax = 10_000;
/** How long a handshake waits for the store, in ms: where nothing is known, and where that is to be verified. */
const storeWaitMs = 2000;
const verifyWaitMs = 100;
/** How long what files said is taken for true, in ms. */
const fileTrustMs = 5000;

/** A name whose certificate is being looked up. */
interface Lookup {
  readonly patterns: readonly string[];
  /** One of them has changed in the store since it began. */
  isStale: boolean;
  context: Promise<SecureContext | null>;
}

/** Of an entry that has changed in the store since, and of one that was read while the store was lost. */
const unverified = -1;
const broken = -2;

interface Entry {
  /** Null: there is none. */
  readonly context: SecureContext | null;
  /** Of the files that it came from; null where it did not. */
  readonly stamp: string | null;
  /** The store's number of breaks when it was read. */
  epoch: number;
  /** Monotonic ms until which it need not be looked at; Infinity where the store tells of changes. */
  trustedUntilMs: number;
}

/**
 * The certificates that are chosen by SNI: exact name before `*.parent`, a directory before the store. Each is loaded
 * with the first handshake that asks for it; a bounded number is kept, coherent with the store as routes are, and
 * files are looked at again as they are used. What cannot be read anew is served as it was.
 */
export class ServerCertificates {
  private readonly options: ServerCertificatesOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly negativeEntries = new Map<string, Entry>();
  private readonly lookups = new Map<string, Lookup>();
  /** Begin lookups that had to wait for others to end. */
  private readonly waiting: (() => void)[] = [];
  private readonly reported = new Map<string, string>();
  private ticketKeys: Uint8Array;
  private epoch = 0;
  private isConnected = false;
  /** Certificates that could not be used. */
  problems = 0;
  loads = 0;

  constructor(options: ServerCertificatesOptions) {
    this.options = options;
    this.ticketKeys = options.ticketKeys;
  }

  /** Contexts held. */
  get size(): number {
    return this.entries.size;
  }

  setTicketKeys(keys: Uint8Array): void {
    this.ticketKeys = keys;
    for (const { context } of this.entries.values()) if (context !== null) changeTicketKeys(context, keys);
  }

  /** The context for a server name; null for the listener's own; undefined where only `load` can tell. */
  cached(serverName: string): SecureContext | null | undefined {
    const patterns = patternsOf(serverName);
    if (patterns === null || this.hasNoSource) return null;
    const nowMs = this.options.clock.monotonicMs();
    for (const pattern of patterns) {
      const entry = this.entries.get(pattern) ?? this.negativeEntries.get(pattern);
      if (entry === undefined || !this.isUsable(entry, nowMs)) return undefined;
      if (entry.context === null) continue;
      // Last in the order of the map: what is used is evicted last.
      this.entries.delete(pattern);
      this.entries.set(pattern, entry);
      return entry.context;
    }
    return null;
  }

  /** As `cached`, asking files and store. Never rejects: where nothing can tell, what was known, or null. */
  load(serverName: string): Promise<SecureContext | null> {
    const patterns = patternsOf(serverName);
    if (patterns === null || this.hasNoSource) return Promise.resolve(null);
    const name = patterns[0] as string;
    const underWay = this.lookups.get(name);
    if (underWay !== undefined) return underWay.context;
    if (this.lookups.size < lookupsMax) return this.begin(name, patterns);
    if (this.waiting.length >= waitingMax) return Promise.resolve(this.known(patterns));
    const turn = new Promise<void>((resolve) => this.waiting.push(resolve)).then(() => this.load(serverName));
    return within(turn, storeWaitMs).catch(() => this.known(patterns));
  }

  /** Routes are no matter of certificates. */
  changed(): void {}

  certificatesChanged(patterns: readonly string[]): void {
    for (const [name, lookup] of this.lookups) {
      // Whoever asks from now on must not get what was read before.
      if (!lookup.patterns.some((pattern) => patterns.includes(pattern))) continue;
      lookup.isStale = true;
      this.lookups.delete(name);
    }
    for (const pattern of patterns) {
      const entry = this.entries.get(pattern);
      if (entry !== undefined) entry.epoch = unverified;
      this.negativeEntries.delete(pattern);
    }
  }

  expired(): void {
    this.epoch++;
  }

  lost(): void {
    this.isConnected = false;
    this.epoch++;
  }

  restored(): void {
    this.isConnected = true;
  }

  private get hasNoSource(): boolean {
    return this.options.store === null && this.options.directory === null;
  }

  private isUsable(entry: Entry, nowMs: number): boolean {
    if (nowMs >= entry.trustedUntilMs) return false;
    return (
      this.options.store === null ||
      entry.stamp !== null ||
      entry.epoch === this.epoch ||
      (!this.isConnected && entry.epoch !== unverified)
    );
  }

  private known(patterns: readonly string[]): SecureContext | null {
    for (const pattern of patterns) {
      const context = this.entries.get(pattern)?.context;
      if (context != null) return context;
    }
    return null;
  }

  private begin(name: string, patterns: readonly string[]): Promise<SecureContext | null> {
    const lookup: Lookup = { patterns, isStale: false, context: Promise.resolve(null) };
    this.lookups.set(name, lookup);
    lookup.context = this.lookUp(lookup).finally(() => {
      if (this.lookups.get(name) === lookup) this.lookups.delete(name);
      this.waiting.shift()?.();
    });
    return lookup.context;
  }

  private async lookUp(lookup: Lookup): Promise<SecureContext | null> {
    const { patterns } = lookup;
    const known = this.known(patterns);
    try {
      for (const pattern of patterns) await this.lookInDirectory(pattern);
      const missing = patterns.filter((pattern) => !this.isFromFile(pattern));
      if (missing.length > 0) await this.lookInStore(lookup, missing, known === null ? storeWaitMs : verifyWaitMs);
    } catch (error) {
      const name = patterns[0] as string;
      this.report(name, 'lookup', `the certificate of ${name} cannot be looked up: ${messageOf(error)}`);
      return known;
    }
    return this.known(patterns);
  }

  private isFromFile(pattern: string): boolean {
    return this.entries.get(pattern)?.stamp != null;
  }

  private async lookInDirectory(pattern: string): Promise<void> {
    const { directory, clock } = this.options;
    if (directory === null) return;
    const entry = this.entries.get(pattern);
    if (entry?.stamp != null && entry.stamp === (await directory.stamp(pattern))) {
      entry.trustedUntilMs = clock.monotonicMs() + fileTrustMs;
      return;
    }
    const found = await directory.read(pattern);
    if (found === null) {
      if (entry?.stamp != null) this.entries.delete(pattern);
      return;
    }
    const context = this.contextOf(pattern, found.material, found.files, found.stamp);
    // A file that cannot be used leaves what it was before, or nothing, until it changes.
    if (context === null) {
      if (entry !== undefined) entry.trustedUntilMs = clock.monotonicMs() + fileTrustMs;
      return;
    }
    this.put(pattern, {
      context,
      stamp: found.stamp,
      epoch: this.epoch,
      trustedUntilMs: clock.monotonicMs() + fileTrustMs,
    });
  }

  private async lookInStore(lookup: Lookup, patterns: readonly string[], waitMs: number): Promise<void> {
    const { store, directory, clock } = this.options;
    const epochBefore = this.isConnected ? this.epoch : broken;
    const trustedUntilMs = directory === null ? Number.POSITIVE_INFINITY : clock.monotonicMs() + fileTrustMs;
    const records = store === null ? patterns.map(() => null) : await within(store.readCertificates(patterns), waitMs);
    // What changed while it was being read may be newer than what the store answered.
    const epoch = lookup.isStale ? unverified : epochBefore;
    for (const [index, pattern] of patterns.entries()) {
      // A later lookup may have brought what is newer.
      if (lookup.isStale && this.entries.has(pattern)) continue;
      const record = records[index] ?? null;
      let context: SecureContext | null = null;
      if (record?.problem !== undefined) {
        this.report(pattern, record.problem, `the certificate of ${pattern} in the store: ${record.problem}`);
      } else if (record !== null) {
        context = this.contextOf(pattern, record, 'in the store');
      }
      if (record !== null && context === null) {
        const before = this.entries.get(pattern);
        if (before !== undefined) {
          before.epoch = epoch;
          before.trustedUntilMs = trustedUntilMs;
          continue;
        }
      }
      this.put(pattern, { context, stamp: null, epoch, trustedUntilMs });
    }
  }

  /** @param stamp of the files: what is wrong with them is said again once they have changed. */
  private contextOf(pattern: string, material: ContextMaterial, where: string, stamp = ''): SecureContext | null {
    try {
      const { notAfterMs } = checkCertificate(material.certificate, material.key);
      if (notAfterMs <= Date.now()) {
        const since = new Date(notAfterMs).toISOString();
        const message = `the certificate of ${pattern}, ${where}, has expired on ${since}; it is served, but clients refuse it`;
        this.report(pattern, `expired ${since}`, message);
      } else {
        this.reported.delete(pattern);
      }
      this.loads++;
      return serverContext(material, {}, this.ticketKeys);
    } catch (error) {
      const message = messageOf(error);
      this.report(pattern, `${where} ${stamp} ${message}`, `the certificate of ${pattern}, ${where}: ${message}`);
      return null;
    }
  }

  private put(pattern: string, entry: Entry): void {
    this.entries.delete(pattern);
    this.negativeEntries.delete(pattern);
    const map = entry.context === null ? this.negativeEntries : this.entries;
    map.set(pattern, entry);
    const sizeMax = entry.context === null ? negativeEntriesMax : this.options.entriesMax;
    if (map.size <= sizeMax) return;
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }

  /** Says what is wrong once, until it is something else. */
  private report(pattern: string, what: string, message: string): void {
    this.problems++;
    if (this.reported.get(pattern) === what) return;
    if (this.reported.size >= negativeEntriesMax) this.reported.clear();
    this.reported.set(pattern, what);
    this.options.onProblem(message);
  }
}

/** The name, the wildcard of its parent, and `*`; null for what is no host name. */
function patternsOf(serverName: string): readonly string[] | null {
  if (serverName.length > 253) return null;
  const name = serverName.toLowerCase();
  const match = /^[a-z0-9_-]{1,63}((?:\.[a-z0-9_-]{1,63})*)\.?$/.exec(name);
  if (match === null) return null;
  const own = name.endsWith('.') ? name.slice(0, -1) : name;
  return match[1] === '' ? [own, '*'] : [own, `*${match[1]}`, '*'];
}

function within<Result>(promise: Promise<Result>, waitMs: number): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no response within ${waitMs} ms`)), waitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
