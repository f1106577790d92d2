import type { SecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { within } from '../base/timer.ts';
import { checkCertificate } from './certificate.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';
import { type ContextMaterial, changeTicketKeys, serverContext } from './server-context.ts';

export interface ServerCertificatesOptions {
  /** Asked in this order: the first one with a certificate for a pattern wins. */
  readonly sources: readonly CertificateSource[];
  readonly ticketKeys: Uint8Array;
  /** Number of contexts kept; each takes about 40 KB. */
  readonly entriesMax: number;
  readonly clock: Clock;
  /** Called for each certificate that is unusable or has expired. */
  readonly onProblem: (message: string) => void;
}

/** How many names without a certificate of their own are remembered. */
const negativeEntriesMax = 10_000;
/** How many names are looked up at the same time; further ones wait. */
const lookupsMax = 64;
/** How many handshakes wait for a lookup; further ones get the default at once. */
const waitingMax = 10_000;
/** How long a handshake waits for a source, in ms: if no certificate is known, and if a known one is only verified. */
const findWaitMs = 2000;
const verifyWaitMs = 100;
/** How long an unwatched source's result is trusted, in ms. */
const unwatchedTrustMs = 5000;

/** A lookup in progress for one name. */
interface Lookup {
  readonly patterns: readonly string[];
  /** Whether one of the patterns has changed in the store since the lookup began. */
  isStale: boolean;
  context: Promise<SecureContext | null>;
}

/** Epochs of entries: one that has changed in its source since, and one that was read while notifications were lost. */
const unverified = -1;
const broken = -2;

interface Entry {
  /** Null: the pattern has no certificate. */
  readonly context: SecureContext | null;
  /** Where it came from; null if the pattern has no certificate. */
  readonly source: CertificateSource | null;
  /** The source's stamp. */
  readonly stamp: string;
  /** How many times notifications had been lost when it was read. */
  epoch: number;
  /** Monotonic ms until which it need not be checked; Infinity if its source is watched. */
  trustedUntilMs: number;
}

/**
 * The certificates chosen by SNI: the exact name precedes `*.parent`, and each source the next. A certificate is loaded
 * when a handshake first needs it. A limited number is kept; those from watched sources stay as current as routes, and
 * others are checked again as they are used. If a certificate cannot be reloaded, the previous one continues to be
 * served.
 */
export class ServerCertificates {
  private readonly options: ServerCertificatesOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly negativeEntries = new Map<string, Entry>();
  private readonly lookups = new Map<string, Lookup>();
  /** Start the lookups that wait for others to end. */
  private readonly waiting: (() => void)[] = [];
  private readonly reported = new Map<string, string>();
  private ticketKeys: Uint8Array;
  private epoch = 0;
  private isConnected = false;
  /** Whether a notification may announce a certificate for a name that had none. */
  private readonly isAnyWatched: boolean;
  /** Number of times that a certificate was unusable, had expired, or could not be looked up. */
  problems = 0;
  loads = 0;

  constructor(options: ServerCertificatesOptions) {
    this.options = options;
    this.ticketKeys = options.ticketKeys;
    this.isAnyWatched = options.sources.some(({ isWatched }) => isWatched);
  }

  /** Number of contexts kept. */
  get size(): number {
    return this.entries.size;
  }

  setTicketKeys(keys: Uint8Array): void {
    this.ticketKeys = keys;
    for (const { context } of this.entries.values()) if (context !== null) changeTicketKeys(context, keys);
  }

  /** The context for a server name; null for the listener's own; undefined if only `load` can tell. */
  cached(serverName: string): SecureContext | null | undefined {
    const patterns = patternsOf(serverName);
    if (patterns === null || this.hasNoSource) return null;
    const nowMs = this.options.clock.monotonicMs();
    for (const pattern of patterns) {
      const entry = this.entries.get(pattern) ?? this.negativeEntries.get(pattern);
      if (entry === undefined || !this.isUsable(entry, nowMs)) return undefined;
      if (entry.context === null) continue;
      // Moves it to the end of the map: the least recently used entry is evicted first.
      this.entries.delete(pattern);
      this.entries.set(pattern, entry);
      return entry.context;
    }
    return null;
  }

  /** Like `cached`, but asks files and store. Never rejects: if they fail, it returns what was known, or null. */
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
      // Later handshakes must not get what was read before.
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
        // If a record changed while it was being read, the source may have returned the older one.
        const epoch = lookup.isStale ? unverified : epochBefore;
        const trustedUntilMs = this.trustedUntilMs(isWatched);
        missing = missing.filter((pattern, i) => {
          return !this.take(pattern, found[i] ?? null, { source, epoch, trustedUntilMs }, lookup);
        });
      }
    } catch (error) {
      const name = patterns[0] as string;
      this.report(name, 'lookup', `cannot look up the certificate of ${name}: ${messageOf(error)}`);
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

  /** Stores what a source has for a pattern. @returns whether no further source needs to be asked. */
  private take(
    pattern: string,
    found: FoundCertificate | null,
    { source, epoch, trustedUntilMs }: Pick<Entry, 'epoch' | 'trustedUntilMs'> & { source: CertificateSource },
    lookup: Lookup,
  ): boolean {
    const before = this.entries.get(pattern);
    // A later lookup may have stored a newer certificate.
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
    // If a certificate is unusable, the previous one, or none, stays in use until it changes.
    if (before?.source !== source) return false;
    before.epoch = epoch;
    before.trustedUntilMs = trustedUntilMs;
    return true;
  }

  private putAbsent(pattern: string, epoch: number, trustedUntilMs: number, lookup: Lookup): void {
    if (lookup.isStale && this.entries.has(pattern)) return;
    this.put(pattern, { context: null, source: null, stamp: '', epoch, trustedUntilMs });
  }

  /** @param stamp of the source: a problem is reported again when it changes. */
  private contextOf(pattern: string, material: ContextMaterial, where: string, stamp: string): SecureContext | null {
    try {
      const { notAfterMs } = checkCertificate(material.certificate, material.key, material.passphrase);
      if (notAfterMs <= Date.now()) {
        const since = new Date(notAfterMs).toISOString();
        const message = `the certificate of ${pattern}, ${where}, has expired on ${since}; it is still served, but clients reject it`;
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

  /** Reports a problem once, until it changes. */
  private report(pattern: string, what: string, message: string): void {
    this.problems++;
    if (this.reported.get(pattern) === what) return;
    if (this.reported.size >= negativeEntriesMax) this.reported.clear();
    this.reported.set(pattern, what);
    this.options.onProblem(message);
  }
}

/** The name, the wildcard of its parent, and `*`; null if it is not a host name. */
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
