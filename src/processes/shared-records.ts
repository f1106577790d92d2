import type { RecordText } from './messages.ts';
import type { WorkerProcess } from './worker-process.ts';

/** Keeps records of the store for workers that cannot reach it. A record has a holder, which learns of its changes. */
export interface KeptRecords {
  /** Approximate memory of those that exist. */
  readonly bytes: number;
  add(records: readonly RecordText[], holder: number): void;
  /** The holder learns of no more changes. */
  abandon(holder: number): void;
  /** Gives a holder records that have none. @returns their keys: the holder has to read them. */
  assign(count: number, holder: number): readonly string[];
  chunks(count: number): Iterable<readonly RecordText[]>;
  clear(): void;
}

/** The part of a worker that shares records. */
type SharingWorker = Pick<WorkerProcess, 'id' | 'config' | 'tellKnown' | 'tellVerify'>;

/** Records in one message to a worker. */
const recordsPerMessage = 1000;
/** Records without holder that a worker has to read at once, and the pause before the next, in ms. */
const assignedMax = 100;
const assignPauseMs = 100;

/** The records of the store that workers share: takes them from each worker, and gives them to those that need them. */
export class SharedRecordsOfWorkers {
  private readonly known: KeptRecords;
  /** A worker that serves; null if there is none. */
  private readonly serving: () => SharingWorker | null;
  private driver: string;
  private timer: NodeJS.Timeout | null = null;

  constructor(known: KeptRecords, driver: unknown, serving: () => SharingWorker | null) {
    this.known = known;
    this.driver = String(driver);
    this.serving = serving;
  }

  /** From now on only workers with this store share their records. */
  follow(driver: unknown): void {
    if (String(driver) === this.driver) return;
    this.driver = String(driver);
    this.known.clear();
  }

  /** Whether records of this store are known. */
  areKnown(driver: unknown): boolean {
    return String(driver) === this.driver && this.known.bytes > 0;
  }

  /** A worker has read these records, or learned that they have changed. */
  read(worker: SharingWorker, records: readonly RecordText[]): void {
    if (!this.isOfStore(worker)) return;
    this.known.add(records, worker.id);
    this.assign();
  }

  /** Sends a worker everything that is known of its store. */
  recall(worker: SharingWorker): void {
    if (this.isOfStore(worker)) {
      for (const records of this.known.chunks(recordsPerMessage)) worker.tellKnown(records, false);
    }
    worker.tellKnown([], true);
  }

  gone(worker: SharingWorker): void {
    this.known.abandon(worker.id);
    this.assign();
  }

  /** Lets a worker read records of which nobody learns changes: they could be old by the time they are needed. */
  assign(): void {
    if (this.timer !== null) return;
    const worker = this.serving();
    if (worker === null || !this.isOfStore(worker)) return;
    const keys = this.known.assign(assignedMax, worker.id);
    if (keys.length === 0) return;
    worker.tellVerify(keys);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.assign();
    }, assignPauseMs);
  }

  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private isOfStore({ config }: SharingWorker): boolean {
    return String(config.driver) === this.driver;
  }
}
