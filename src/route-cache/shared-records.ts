import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { CertificatePair, ChangeListener, StoredRoute } from '../stores/contract.ts';
import {
  certificateOf,
  certificateText,
  type KnownRecord,
  KnownRecords,
  knownKey,
  routeOf,
  routeText,
} from './known-records.ts';

/** How long records wait to be reported together, in ms, and how many at most. */
const reportMs = 50;
const reportMax = 1000;
/** How long a request waits for the records of the other workers, in ms. */
const fetchMs = 5000;

export interface SharedRecordsOptions {
  /** Sends records that this worker has read to those who keep them. */
  readonly report: (records: readonly KnownRecord[]) => void;
  /** Asks for all records that any worker has read: `take` follows. */
  readonly ask: () => void;
  readonly setTimer?: SetTimer;
}

/**
 * A worker's part in the records that the workers of an instance share: it reports those that it reads, and while the
 * store is away it has those of the others.
 */
export class SharedRecords implements Pick<ChangeListener, 'lost' | 'restored'> {
  private readonly options: SharedRecordsOptions;
  private readonly setTimer: SetTimer;
  private readonly known = new KnownRecords(Number.POSITIVE_INFINITY);
  private readonly pending = new Map<string, string>();
  private cancelReport: (() => void) | null = null;
  private isAway = false;
  /** Null until the records are asked for. */
  private fetching: Promise<void> | null = null;
  private whenFetched: (() => void) | null = null;

  constructor(options: SharedRecordsOptions) {
    this.options = options;
    this.setTimer = options.setTimer ?? setRealTimer;
  }

  /** A read has brought this record; null: there is none. */
  routeRead(pattern: string, record: StoredRoute | null): void {
    // A record that cannot be read must not replace one that could.
    if (record?.problem === undefined) this.note(knownKey('routes', pattern), routeText(record));
  }

  certificateRead(pattern: string, pair: CertificatePair | null): void {
    this.note(knownKey('certificates', pattern), certificateText(pair));
  }

  /** Undefined if nothing is known, or the store is there. */
  route(pattern: string): StoredRoute | null | undefined {
    const text = this.known.get(knownKey('routes', pattern));
    return text === undefined ? undefined : routeOf(text);
  }

  certificate(pattern: string): CertificatePair | null | undefined {
    const text = this.known.get(knownKey('certificates', pattern));
    return text === undefined ? undefined : certificateOf(text);
  }

  lost(): void {
    this.isAway = true;
  }

  restored(): void {
    this.isAway = false;
    this.known.clear();
    this.fetching = null;
    this.whenFetched?.();
  }

  /** While the store is away, the records of all workers are there once this resolves, or the time is over. */
  fetch(): Promise<void> {
    if (!this.isAway) return Promise.resolve();
    this.fetching ??= new Promise((resolve) => {
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
    if (this.isAway) this.known.add(records);
    if (isLast) this.whenFetched?.();
  }

  close(): void {
    this.cancelReport?.();
    this.flush();
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
