import { type SetTimer, setRealTimer } from '../base/timer.ts';
import { isWildcard } from '../routing/patterns.ts';
import type { CertificatePair, ChangeListener, CollectionName, Store, StoredRoute } from '../stores/contract.ts';
import {
  allChanged,
  certificateOf,
  certificateText,
  type KnownRecord,
  KnownRecords,
  knownKey,
  routeOf,
  routeText,
  splitKey,
} from './known-records.ts';

/** How long records wait to be reported together, in ms, and how many at most. */
const reportMs = 50;
const reportMax = 1000;
/** How long a request waits for the records of the other workers, in ms. */
const fetchMs = 5000;
/** How long a handshake waits for the wipe guard, in ms. Later, certificates that the store had are served as they were. */
const judgeMs = 2000;
/** Pause between two questions for the records of others while the store is there but cannot be read, in ms. */
const askPauseMs = 10_000;
/** Pause before records are read again whose reading has failed, in ms. */
const verifyAgainMs = 1000;
/** Names whose absence is noticed. */
const certificatesMax = 10_000;

export interface SharedRecordsOptions {
  /** Sends records that this worker has read to those who keep them. */
  readonly report: (records: readonly KnownRecord[]) => void;
  /** Asks for all records that any worker has read: `take` follows. */
  readonly ask: () => void;
  /** Records that are given to this worker are read from it. */
  readonly store: Pick<Store, 'routes' | 'certificates' | 'capabilities'>;
  /** Resolves once the wipe guard has judged the store. Default: there is none. */
  readonly judge?: () => Promise<void>;
  readonly setTimer?: SetTimer;
}

/**
 * A worker's part in the records that the workers of an instance share: it reports those that it reads, and those that
 * have changed; while the store is away it has those of the others.
 */
export class SharedRecords implements Pick<ChangeListener, 'changed' | 'expired' | 'lost' | 'restored'> {
  private readonly options: SharedRecordsOptions;
  private readonly setTimer: SetTimer;
  private readonly known = new KnownRecords(Number.POSITIVE_INFINITY);
  private readonly pending = new Map<string, string>();
  private cancelReport: (() => void) | null = null;
  /** Keys of records that this worker has to read, because their holder has gone. */
  private readonly unread = new Set<string>();
  private isReading = false;
  /** Of each reading in progress: the keys that have not changed since it began. */
  private readonly readings = new Set<Set<string>>();
  private cancelReading: (() => void) | null = null;
  private cancelAskPause: (() => void) | null = null;
  private closed = false;
  private isAway = false;
  /** Whether the records of others are taken. */
  private isWanted = false;
  /** Whether records are served that the store does not have: it may have been wiped. */
  private isHolding = false;
  /** Judgements that take so long that known certificates are served meanwhile. */
  private unjudged = 0;
  /** Patterns with a certificate in the store. */
  private readonly certificates = new Set<string>();
  /** Null until the records are asked for. */
  private fetching: Promise<void> | null = null;
  private whenFetched: (() => void) | null = null;

  constructor(options: SharedRecordsOptions) {
    this.options = options;
    this.setTimer = options.setTimer ?? setRealTimer;
  }

  /** A read has brought this record; null: there is none. */
  routeRead(pattern: string, record: StoredRoute | null): void {
    if (!this.isAway && this.isWanted) this.dropUnlessHolding();
    // A record that cannot be read must not replace one that could.
    if (record?.problem === undefined) this.note(knownKey('routes', pattern), routeText(record));
  }

  /**
   * Reads certificates, and reports them. Absences alone are not reported: clients may ask for any name.
   * @returns the result of `read`.
   */
  async readCertificates<Found extends (CertificatePair & { readonly problem?: string }) | null>(
    patterns: readonly string[],
    read: () => Promise<readonly Found[]>,
  ): Promise<readonly Found[]> {
    const { found, unchanged } = await this.readUnchanged('certificates', patterns, read);
    if (found.every((pair) => pair === null)) return this.heldPairs(patterns, found);
    for (const [i, pattern] of patterns.entries()) if (found[i] !== null) this.noteCertificate(pattern);
    for (const [pattern, pair] of unchanged) if (pair?.problem === undefined) this.certificateRead(pattern, pair);
    return found;
  }

  /** Undefined if nothing is known, or the store can be read. */
  route(pattern: string): StoredRoute | null | undefined {
    const text = this.known.get(knownKey('routes', pattern));
    return text === undefined ? undefined : routeOf(text);
  }

  certificate(pattern: string): CertificatePair | null | undefined {
    // The store can be read: a certificate there comes first.
    if (this.isHolding && !this.isAway) return undefined;
    return this.knownPair(pattern);
  }

  /**
   * The alarm of the wipe guard is raised, or ends. While it is raised, records of others are known although the store can
   * be read. Resolves once they are.
   */
  async hold(isHolding: boolean): Promise<void> {
    if (isHolding === this.isHolding) return;
    this.isHolding = isHolding;
    if (!isHolding) {
      if (!this.isAway) this.drop();
      return;
    }
    this.fetching = null;
    await this.fetch();
  }

  /** Certificates that the store does not have. If it had them, and was wiped, they are served as they were. */
  private async heldPairs<Found>(patterns: readonly string[], found: readonly Found[]): Promise<readonly Found[]> {
    const had = patterns.filter((pattern) => this.certificates.has(pattern));
    const isJudged = had.length === 0 || (await this.judged());
    if (this.isHolding || !isJudged) {
      await this.fetch();
      return patterns.map((pattern) => (this.knownPair(pattern) ?? null) as Found);
    }
    for (const pattern of had) this.certificates.delete(pattern);
    return found;
  }

  /** @returns whether the wipe guard has judged, in time: a handshake waits for it. */
  private judged(): Promise<boolean> {
    const { judge } = this.options;
    if (this.isHolding || judge === undefined) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      let isLate = false;
      const cancel = this.setTimer(judgeMs, () => {
        isLate = true;
        this.unjudged++;
        resolve(false);
      });
      judge()
        .then(() => resolve(true), reject)
        .finally(() => {
          if (isLate) this.unjudged--;
          cancel();
        });
    });
  }

  private noteCertificate(pattern: string): void {
    if (this.certificates.size < certificatesMax) this.certificates.add(pattern);
  }

  private knownPair(pattern: string): CertificatePair | null | undefined {
    const text = this.known.get(knownKey('certificates', pattern));
    return text === undefined ? undefined : certificateOf(text);
  }

  /** Changed records are read again where they are used; until then nothing is known of them. */
  changed(collection: CollectionName, keys: readonly string[]): void {
    for (const pattern of keys) {
      // The former options of a wildcard are safer than none: they are read again at once.
      if (collection === 'options' && isWildcard(pattern)) continue;
      const key = knownKey(collection, pattern);
      for (const reading of this.readings) reading.delete(key);
      this.note(key, '');
    }
  }

  expired(): void {
    // A store without word of changes says so all the time.
    if (this.options.store.capabilities.changes === 'expiry') return;
    this.flush();
    this.options.report([allChanged]);
  }

  lost(): void {
    this.isAway = true;
  }

  restored(): void {
    this.isAway = false;
    this.dropUnlessHolding();
    this.verifyNext();
  }

  /** Records whose holder has gone: this worker reads them, and holds them from then on. */
  verify(keys: readonly string[]): void {
    for (const key of keys) this.unread.add(key);
    this.verifyNext();
  }

  /** While the store is away, the records of all workers are there once this resolves, or the time is over. */
  fetchIfAway(): Promise<void> {
    return this.isAway ? this.fetch() : Promise.resolve();
  }

  /** The same when the store cannot be read for another reason, until it can be read again. */
  fetch(): Promise<void> {
    if (this.fetching === null && !this.isAway && !this.isHolding && this.unjudged === 0) {
      if (this.cancelAskPause !== null) return Promise.resolve();
      this.cancelAskPause = this.setTimer(askPauseMs, () => {
        this.cancelAskPause = null;
      });
    }
    this.fetching ??= new Promise((resolve) => {
      this.isWanted = true;
      const cancel = this.setTimer(fetchMs, resolve);
      this.whenFetched = () => {
        cancel();
        resolve();
      };
      this.options.ask();
    });
    return this.fetching;
  }

  /** Takes records of others. @param isLast no more follow. */
  take(records: readonly KnownRecord[], isLast: boolean): void {
    if (this.isWanted) this.known.add(records);
    if (isLast) this.whenFetched?.();
  }

  close(): void {
    this.closed = true;
    this.cancelReading?.();
    this.cancelAskPause?.();
    this.cancelReport?.();
    this.flush();
  }

  private dropUnlessHolding(): void {
    if (!this.isHolding && this.unjudged === 0) this.drop();
  }

  /** The store can be read: the records of others are not needed. */
  private drop(): void {
    this.known.clear();
    this.isWanted = false;
    this.fetching = null;
    this.whenFetched?.();
  }

  private verifyNext(): void {
    if (this.isReading || this.isAway || this.closed || this.unread.size === 0) return;
    const keys = [...this.unread];
    this.isReading = true;
    this.read(keys).then(
      () => {
        for (const key of keys) this.unread.delete(key);
        this.isReading = false;
        this.verifyNext();
      },
      () => {
        this.isReading = false;
        this.cancelReading = this.setTimer(verifyAgainMs, () => this.verifyNext());
      },
    );
  }

  private async read(keys: readonly string[]): Promise<void> {
    const { certificates, routes } = this.options.store;
    const split = keys.map(splitKey);
    const patterns = (of: string) => split.filter(({ collection }) => collection === of).map(({ pattern }) => pattern);
    const [hosts, names] = [patterns('routes'), patterns('certificates')];
    const [records, pairs] = await Promise.all([
      this.readUnchanged('routes', hosts, () => routes.read(hosts)),
      this.readUnchanged('certificates', names, () => certificates.read(names)),
    ]);
    for (const [host, record] of records.unchanged) this.routeRead(host, record);
    for (const [name, pair] of pairs.unchanged) if (pair?.problem === undefined) this.certificateRead(name, pair);
  }

  /** Reads, and tells records that have changed meanwhile: the word of a change may come before the old record. */
  private async readUnchanged<Found>(
    collection: CollectionName,
    patterns: readonly string[],
    read: () => Promise<readonly Found[]>,
  ): Promise<{ readonly found: readonly Found[]; readonly unchanged: readonly (readonly [string, Found])[] }> {
    const keys = new Set(patterns.map((pattern) => knownKey(collection, pattern)));
    this.readings.add(keys);
    try {
      const found = await read();
      const pairs = found.map((record, index) => [patterns[index] as string, record] as const);
      return { found, unchanged: pairs.filter(([pattern]) => keys.has(knownKey(collection, pattern))) };
    } finally {
      this.readings.delete(keys);
    }
  }

  private certificateRead(pattern: string, pair: CertificatePair | null): void {
    this.note(knownKey('certificates', pattern), certificateText(pair));
  }

  private note(key: string, text: string): void {
    this.pending.set(key, text);
    if (this.pending.size >= reportMax) this.flush();
    else this.cancelReport ??= this.setTimer(reportMs, () => this.flush());
  }

  private flush(): void {
    this.cancelReport?.();
    this.cancelReport = null;
    if (this.pending.size === 0) return;
    this.options.report([...this.pending]);
    this.pending.clear();
  }
}
