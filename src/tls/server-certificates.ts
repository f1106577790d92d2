import type { SecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { within } from '../base/timer.ts';
import { checkCertificate } from './certificate.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';
import { type ContextMaterial, changeTicketKeys, serverContext } from './server-context.ts';

export interface ServerCertificatesOptions {
  /** They are asked in this order; the first that has a certificate for a pattern wins. */
  readonly sources: readonly CertificateSource[];
  readonly ticketKeys: Uint8Array;
  /** Contexts kept, about 40 KB each. */
  readonly entriesMax: number;
  readonly clock: Clock;
  /** Called for each certificate that cannot be used, and for one that has expired. */
  readonly onProblem: (message: string) => void;
}

/** Names remembered to have no certificate of their own. */
const negativeEntriesMax = 10_000;
/** Names whose certificates are looked up at once; further ones wait. */
const lookupsMax = 64;
/** Handshakes that wait for their turn; further ones get the default at once. */
const waitingMax = 10_000;
/** How long a handshake waits for a source, in ms: if nothing is known, and if that is only to be verified. */
const findWaitMs = 2000;
const verifyWaitMs = 100;
/** How long what a source says is taken for true if no change of it is heard of, in ms. */
const unwatchedTrustMs = 5000;

/** A name whose certificate is being looked up. */
interface Lookup {
  readonly patterns: readonly string[];
  /** One of them has changed in the store since it began. */
  isStale: boolean;
  context: Promise<SecureContext | null>;
}

/** Of an entry that has changed in its source since, and of one that was read while changes could not be heard of. */
const unverified = -1;
const broken = -2;

interface Entry {
  /** Null: there is none. */
  readonly context: SecureContext | null;
  /** That it came from; null if there is none. */
  readonly source: CertificateSource | null;
  /** Of the source. */
  readonly stamp: string;
  /** The number of breaks in hearing of changes when it was read. */
  epoch: number;
  /** Monotonic ms until which it need not be looked at; Infinity if changes of it are heard of. */
  trustedUntilMs: number;
}

/**
 * The certificates that are chosen by SNI: exact name before `*.parent`, one source before the next. Each is loaded with
 * the first handshake that asks for it; a bounded number is kept, coherent with watched sources as routes are with the
 * store. Others are looked at again as they are used. A certificate that cannot be read anew is served as it was.
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
  /** Whether changes are heard of by which names without a certificate could get one. */
  private readonly isAnyWatched: boolean;
  /** Certificates that could not be used. */
  problems = 0;
  loads = 0;

  constructor(options: ServerCertificatesOptions) {
    this.options = options;
    this.ticketKeys = options.ticketKeys;
    this.isAnyWatched = options.sources.some(({ isWatched }) => isWatched);
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
    return within(turn, findWaitMs).catch(() => this.known(patterns));
  }

  changed(collection: string, patterns: readonly string[]): void {
    if (collection !== 'certificates') return;
    for (const [name, lookup] of this.lookups) {
      // Handshakes from now on must not get what was read before.
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
    return this.options.sources.length === 0;
  }

  private isUsable(entry: Entry, nowMs: number): boolean {
    if (nowMs >= entry.trustedUntilMs) return false;
    const isWatched = entry.source === null ? this.isAnyWatched : entry.source.isWatched;
    return !isWatched || entry.epoch === this.epoch || (!this.isConnected && entry.epoch !== unverified);
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
    const waitMs = known === null ? findWaitMs : verifyWaitMs;
    const epochBefore = this.isConnected ? this.epoch : broken;
    let missing = patterns;
    let isWatched = true;
    try {
      for (const source of this.options.sources) {
        isWatched &&= source.isWatched;
        const stampOf = (pattern: string): string | null => this.stampOf(pattern, source);
        const found = await source.find(missing, stampOf, waitMs);
        // A record that changed while it was being read may be newer than what the source has said.
        const epoch = lookup.isStale ? unverified : epochBefore;
        const trustedUntilMs = this.trustedUntilMs(isWatched);
        missing = missing.filter((pattern, i) => {
          return !this.take(pattern, found[i] ?? null, { source, epoch, trustedUntilMs }, lookup);
        });
      }
    } catch (error) {
      const name = patterns[0] as string;
      this.report(name, 'lookup', `the certificate of ${name} cannot be looked up: ${messageOf(error)}`);
      return known;
    }
    const epoch = lookup.isStale ? unverified : epochBefore;
    for (const pattern of missing) this.putAbsent(pattern, epoch, this.trustedUntilMs(isWatched), lookup);
    return this.known(patterns);
  }

  private trustedUntilMs(isWatched: boolean): number {
    return isWatched ? Number.POSITIVE_INFINITY : this.options.clock.monotonicMs() + unwatchedTrustMs;
  }

  private stampOf(pattern: string, source: CertificateSource): string | null {
    const entry = this.entries.get(pattern);
    return entry?.source === source ? entry.stamp : null;
  }

  /** Takes up what a source has for a pattern. @returns whether no further source needs to be asked. */
  private take(
    pattern: string,
    found: FoundCertificate | null,
    { source, epoch, trustedUntilMs }: Pick<Entry, 'epoch' | 'trustedUntilMs'> & { source: CertificateSource },
    lookup: Lookup,
  ): boolean {
    const before = this.entries.get(pattern);
    // A later lookup may have brought what is newer.
    if (source.isWatched && lookup.isStale && before !== undefined) return true;
    if (found === null) {
      if (before?.source === source) this.entries.delete(pattern);
      return false;
    }
    if (found.kind === 'same') {
      if (before !== undefined) before.trustedUntilMs = trustedUntilMs;
      return true;
    }
    const context =
      found.kind === 'certificate' ? this.contextOf(pattern, found.material, found.where, found.stamp) : null;
    if (found.kind === 'problem') {
      this.report(pattern, found.what, `the certificate of ${pattern} ${found.where}: ${found.what}`);
    }
    if (context !== null && found.kind === 'certificate') {
      this.put(pattern, { context, source, stamp: found.stamp, epoch, trustedUntilMs });
      return true;
    }
    // One that cannot be used leaves what was there before, or nothing, until it changes.
    if (before?.source !== source) return false;
    before.epoch = epoch;
    before.trustedUntilMs = trustedUntilMs;
    return true;
  }

  private putAbsent(pattern: string, epoch: number, trustedUntilMs: number, lookup: Lookup): void {
    if (lookup.isStale && this.entries.has(pattern)) return;
    this.put(pattern, { context: null, source: null, stamp: '', epoch, trustedUntilMs });
  }

  /** @param stamp of the source: a problem is reported again once it has changed. */
  private contextOf(pattern: string, material: ContextMaterial, where: string, stamp: string): SecureContext | null {
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
