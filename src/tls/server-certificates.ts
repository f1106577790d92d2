import type { SecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import { checkCertificate, notAfterMsOf } from './certificate.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';
import { LookupQueue } from './lookup-queue.ts';
import { OnePerTurn } from './one-per-turn.ts';
import { SegmentedLru } from './segmented-lru.ts';
import {
  type ContextMaterial,
  certificateContext,
  certificateContextBytes,
  closeSoon,
  materialBytes,
} from './server-context.ts';

export interface ServerCertificatesOptions {
  /** Asked in this order: the first one with a certificate for a pattern wins. */
  readonly sources: readonly CertificateSource[];
  /** Estimated memory of certificates and contexts. */
  readonly bytesMax: number;
  /** Number of certificates kept. Default: no bound. */
  readonly entriesMax?: number;
  readonly clock: Clock;
  /** For lookups that wait. Default: real time. */
  readonly setTimer?: SetTimer;
  /** Called for each certificate that is unusable or has expired. */
  readonly onProblem: (message: string) => void;
  /** Called from time to time for a name whose certificate ends soon, or has ended. */
  readonly onEnding?: (serverName: string) => void;
}

/** How many names without a certificate of their own are remembered. */
const negativeEntriesMax = 10_000;
/** How many names are looked up at the same time, and how many unknown ones in a second; further ones wait. */
const lookupsMax = 64;
const unknownPerSecondMax = 1000;
/** How many names wait for a lookup; further ones get the default at once. */
const waitingMax = 10_000;
/** Of the memory, the share of the texts of certificates. The rest is for the contexts of those that are used most. */
const textsShare = 1 / 4;
/** How long a handshake waits for a source, and for its turn before that, in ms: if no certificate is known, and if a known one is only verified. */
const findWaitMs = 2000;
const verifyWaitMs = 100;
/** A certificate that ends sooner is looked after, in ms; how often that is said of one, and of how many at a time. */
const endingMs = 7 * 24 * 3600_000;
const endingEveryMs = 3600_000;
const endingMax = 10_000;
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
  readonly material: ContextMaterial | null;
  /** Epoch ms at which the certificate expires. */
  readonly notAfterMs: number;
  /** Where it came from; null if the pattern has no certificate. */
  readonly source: CertificateSource | null;
  /** The source's stamp. */
  stamp: string;
  /** How many times notifications had been lost when it was read. */
  epoch: number;
  /** Monotonic ms until which it need not be checked; Infinity if its source is watched. */
  trustedUntilMs: number;
}

/**
 * The certificates chosen by SNI: the exact name precedes `*.parent`, and each source the next. A certificate is loaded
 * when a handshake first needs it. Within a limit, certificates are kept as texts, and those that are used most as contexts
 * too, which take ten times as much: one that is used seldom gets a new context. Those from watched sources stay as current
 * as routes, and others are checked again as they are used. If a certificate cannot be reloaded, the previous one continues
 * to be served.
 */
export class ServerCertificates {
  private readonly options: ServerCertificatesOptions;
  private readonly entries: SegmentedLru<Entry>;
  private readonly contexts: SegmentedLru<SecureContext>;
  private readonly negativeEntries = new SegmentedLru<Entry>(negativeEntriesMax);
  private readonly lookups = new Map<string, Lookup>();
  private readonly queue: LookupQueue;
  private readonly absences = new OnePerTurn();
  private readonly reported = new Map<string, string>();
  /** When it may be said again that a certificate ends, in monotonic ms, by the name of a handshake. */
  private readonly ending = new Map<string, number>();
  private epoch = 0;
  private isConnected = false;
  /** Whether a notification may announce a certificate for a name that had none. */
  private readonly isAnyWatched: boolean;
  /** Number of times that a certificate was unusable, had expired, or could not be looked up. */
  problems = 0;
  loads = 0;
  /** Number of names looked up in the sources. */
  lookedUp = 0;
  /** Number of names whose turn to be looked up did not come. */
  rejected = 0;

  constructor(options: ServerCertificatesOptions) {
    this.options = options;
    const { sources, bytesMax, entriesMax = Number.POSITIVE_INFINITY, clock, setTimer = setRealTimer } = options;
    this.entries = new SegmentedLru(entriesMax, bytesMax * textsShare, (pattern) => {
      if (this.entries.peek(pattern) === undefined) this.contexts.delete(pattern);
    });
    this.contexts = new SegmentedLru(entriesMax, bytesMax * (1 - textsShare), (_, context) => closeSoon(context));
    this.isAnyWatched = sources.some(({ isWatched }) => isWatched);
    const limits = { parallelMax: lookupsMax, perSecondMax: unknownPerSecondMax, waitingMax };
    this.queue = new LookupQueue({ ...limits, clock, setTimer });
  }

  /** Number of certificates kept. */
  get size(): number {
    return this.entries.size;
  }

  /** Number of those that have a context. */
  get contextCount(): number {
    return this.contexts.size;
  }

  /** The end of the certificate that ends first, in epoch ms; Infinity if none is kept. */
  get soonestEndMs(): number {
    let soonest = Number.POSITIVE_INFINITY;
    for (const { material, notAfterMs } of this.entries.values()) {
      if (material !== null && notAfterMs < soonest) soonest = notAfterMs;
    }
    return soonest;
  }

  /** Estimated memory of all of them. */
  get bytes(): number {
    return this.entries.bytes + this.contexts.bytes;
  }

  /** Number of certificates that were dropped for others. */
  get evictions(): number {
    return this.entries.evictions;
  }

  /** The context for a server name; null for the listener's own; undefined if only `load` can tell. */
  cached(serverName: string): SecureContext | null | undefined {
    const patterns = patternsOf(serverName);
    if (patterns === null || this.hasNoSource) return null;
    const { clock } = this.options;
    const nowMs = clock.monotonicMs();
    const epochMs = clock.epochMs();
    for (const pattern of patterns) {
      const entry = this.entries.use(pattern) ?? this.negativeEntries.use(pattern);
      if (entry === undefined || !this.isUsable(entry, nowMs)) return undefined;
      if (entry.material === null || entry.notAfterMs <= epochMs) continue;
      this.contexts.use(pattern);
      break;
    }
    return this.known(patterns);
  }

  /** Like `cached`, but asks files and store. Never rejects: if they fail, it returns what was known, or null. */
  load(serverName: string): Promise<SecureContext | null> {
    const patterns = patternsOf(serverName);
    if (patterns === null || this.hasNoSource) return Promise.resolve(null);
    const name = patterns[0] as string;
    return (this.lookups.get(name) ?? this.begin(name, patterns)).context;
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
      const entry = this.entries.peek(pattern);
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

  private isKnown(patterns: readonly string[]): boolean {
    return patterns.some((pattern) => this.entries.peek(pattern) !== undefined);
  }

  /** The first certificate that is valid; if none is, the first one. It does not count as a use. */
  private known(patterns: readonly string[]): SecureContext | null {
    const { clock } = this.options;
    const epochMs = clock.epochMs();
    let expired: SecureContext | null = null;
    for (const pattern of patterns) {
      const { material = null, notAfterMs = 0 } = this.entries.peek(pattern) ?? {};
      if (material === null) continue;
      if (notAfterMs - epochMs < endingMs) this.lookAfter(patterns[0] as string, clock.monotonicMs());
      if (notAfterMs <= epochMs && expired !== null) continue;
      const context = this.contexts.peek(pattern) ?? this.makeContext(pattern, material);
      if (notAfterMs > epochMs) return context;
      expired = context;
    }
    return expired;
  }

  private begin(name: string, patterns: readonly string[]): Lookup {
    const lookup: Lookup = { patterns, isStale: false, context: Promise.resolve(null) };
    this.lookups.set(name, lookup);
    lookup.context = this.inTurn(lookup).finally(() => {
      if (this.lookups.get(name) === lookup) this.lookups.delete(name);
    });
    return lookup;
  }

  private async inTurn(lookup: Lookup): Promise<SecureContext | null> {
    const { patterns } = lookup;
    const isKnown = this.entries.peek(patterns[0] as string) !== undefined;
    // A name that is known by a wildcard alone may be any name: it does not wait for the lookup of its own certificate.
    const waitMs = isKnown ? verifyWaitMs : this.isKnown(patterns) ? 0 : findWaitMs;
    if (!(await this.queue.turn(isKnown, waitMs))) {
      this.rejected++;
      return this.known(patterns);
    }
    try {
      this.lookedUp++;
      const context = await this.lookUp(lookup);
      if (context === null) await this.absences.turn();
      return context;
    } finally {
      this.queue.ended();
    }
  }

  private async lookUp(lookup: Lookup): Promise<SecureContext | null> {
    const { patterns } = lookup;
    const waitMs = this.isKnown(patterns) ? verifyWaitMs : findWaitMs;
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
      return this.known(patterns);
    }
    const epoch = lookup.isStale ? unverified : epochBefore;
    for (const pattern of missing) this.putAbsent(pattern, epoch, this.trustedUntilMs(isWatched), lookup);
    return this.known(patterns);
  }

  private trustedUntilMs(isWatched: boolean): number {
    return isWatched ? Number.POSITIVE_INFINITY : this.options.clock.monotonicMs() + unwatchedTrustMs;
  }

  private stampOf(pattern: string, source: CertificateSource): string | null {
    const entry = this.entries.peek(pattern);
    return entry?.source === source ? entry.stamp : null;
  }

  /** Stores what a source has for a pattern. @returns whether no further source needs to be asked. */
  private take(
    pattern: string,
    found: FoundCertificate | null,
    { source, epoch, trustedUntilMs }: Pick<Entry, 'epoch' | 'trustedUntilMs'> & { source: CertificateSource },
    lookup: Lookup,
  ): boolean {
    const before = this.entries.peek(pattern);
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
    if (found.kind === 'problem') {
      this.report(pattern, found.what, `the certificate of ${pattern} ${found.where}: ${found.what}`);
    } else if (before?.source === source && isSame(before.material, found.material)) {
      Object.assign(before, { stamp: found.stamp, epoch, trustedUntilMs });
      this.reportExpiry(pattern, before.notAfterMs, found.where);
      return true;
    } else if (this.put(pattern, found, { source, epoch, trustedUntilMs })) {
      return true;
    }
    // If a certificate is unusable, the previous one, or none, stays in use until it changes.
    if (before?.source !== source) return false;
    before.epoch = epoch;
    before.trustedUntilMs = trustedUntilMs;
    return true;
  }

  private putAbsent(pattern: string, epoch: number, trustedUntilMs: number, lookup: Lookup): void {
    if (lookup.isStale && this.entries.peek(pattern) !== undefined) return;
    this.entries.delete(pattern);
    const none = { material: null, notAfterMs: 0, source: null, stamp: '' };
    this.negativeEntries.set(pattern, { ...none, epoch, trustedUntilMs });
  }

  /** Keeps a certificate with its context. @returns false if it cannot be used. */
  private put(
    pattern: string,
    { material, where, stamp }: FoundCertificate & { readonly kind: 'certificate' },
    read: Pick<Entry, 'source' | 'epoch' | 'trustedUntilMs'>,
  ): boolean {
    try {
      const context = certificateContext(material);
      const notAfterMs = notAfterMsOf(material.certificate);
      this.reportExpiry(pattern, notAfterMs, where);
      this.loads++;
      this.negativeEntries.delete(pattern);
      this.entries.set(pattern, { material, notAfterMs, stamp, ...read }, materialBytes(material));
      this.contexts.set(pattern, context, certificateContextBytes(material));
      return true;
    } catch (error) {
      const message = messageOf(reasonOf(material) ?? error);
      // The source's stamp is part of it: a problem is reported again when it changes.
      this.report(pattern, `${where} ${stamp} ${message}`, `the certificate of ${pattern}, ${where}: ${message}`);
      return false;
    }
  }

  /** The context of a certificate that has had one, and has none any more. */
  private makeContext(pattern: string, material: ContextMaterial): SecureContext {
    const context = certificateContext(material);
    this.contexts.set(pattern, context, certificateContextBytes(material));
    return context;
  }

  /** Nobody may know yet that it ends: its host may not have been written since orders began. @param name of the handshake. */
  private lookAfter(name: string, nowMs: number): void {
    const { onEnding } = this.options;
    if (onEnding === undefined || nowMs < (this.ending.get(name) ?? 0)) return;
    if (this.ending.size >= endingMax) this.ending.clear();
    this.ending.set(name, nowMs + endingEveryMs);
    onEnding(name);
  }

  private reportExpiry(pattern: string, notAfterMs: number, where: string): void {
    if (notAfterMs > Date.now()) {
      this.reported.delete(pattern);
      return;
    }
    const since = new Date(notAfterMs).toISOString();
    const message = `the certificate of ${pattern}, ${where}, has expired on ${since}; it is still served, but clients reject it`;
    this.report(pattern, `expired ${since}`, message);
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

function isSame(a: ContextMaterial | null, b: ContextMaterial): boolean {
  return a !== null && a.certificate === b.certificate && a.key === b.key && a.passphrase === b.passphrase;
}

/** Why a certificate cannot be used, in better words than those of OpenSSL; null if nothing else is wrong with it. */
function reasonOf({ certificate, key, passphrase }: ContextMaterial): unknown {
  try {
    checkCertificate(certificate, key, passphrase);
    return null;
  } catch (error) {
    return error;
  }
}
