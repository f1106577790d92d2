import type { Clock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { SetTimer } from '../base/timer.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { RouteReader, StoredRoute } from '../stores/contract.ts';

/** Patterns in one read of the store. */
const batchMax = 256;
/** Reads of the store at the same time, so that a slow one does not block the next. */
const readsMax = 4;
/**
 * Changed records wait to be read together, up to so many: while a read is under way, up to so long, in ms, and then
 * until so long after its start. The first change after a pause is read at once; of 1,000 a second, a read brings several.
 */
const waitTogetherMax = 32;
const waitTogetherMs = 20;
const betweenMs = 3;
/** Elements of records that land in one turn of the event loop: requests for known hosts pass in between. */
const elementsPerTurn = 5000;
/** Patterns that wait to be read. A further one fails at once. */
const waitingMax = 100_000;

/** One reading of one pattern, shared by all requests for it. */
export class PendingRead {
  readonly pattern: string;
  /** A request waits for it: it precedes refreshes, and its result is kept. */
  urgent: boolean;
  /** It is read alone because a batch with it failed. */
  alone = false;
  sent = false;
  /** The record changed after the reading was sent, so the result may be old. */
  dirty = false;
  /** The epoch and the sequence number of the cache when it was sent. */
  epoch = -1;
  sequence = 0;
  /** The reading after this one, requested since this one became dirty. */
  next: PendingRead | null = null;
  readonly waiters: ((error: Error | null) => void)[] = [];
  /** The result, once it has landed. */
  frontend: Frontend | null = null;

  constructor(pattern: string, urgent: boolean) {
    this.pattern = pattern;
    this.urgent = urgent;
  }
}

export interface ReadQueueOptions {
  readonly readTimeoutMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly setTimer: SetTimer;
}

export interface ReadQueueEvents {
  /** The reading starts now. */
  sent(read: PendingRead): void;
  /** Called before the waiters. */
  landed(read: PendingRead, record: StoredRoute | null): void;
  failed(read: PendingRead, error: HipacheError): void;
  /** One of the above threw. The reading has failed for its waiters. */
  onInternalError(error: Error): void;
}

/**
 * Reads patterns from a store in batches, one reading of a pattern at a time. A request for a pattern that is being read
 * shares that reading. If it is dirty, the request shares the next one, which starts when this one ends. So however
 * often a pattern changes, one reading is under way and one waits.
 */
export class ReadQueue {
  private readonly routes: RouteReader;
  private readonly readTimeoutMs: number;
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly setTimer: SetTimer;
  private readonly events: ReadQueueEvents;
  private readonly byPattern = new Map<string, PendingRead>();
  private urgent: PendingRead[] = [];
  private background: PendingRead[] = [];
  private running = 0;
  private nextMs = Number.NEGATIVE_INFINITY;
  private pumping = false;
  private cancelWait: (() => void) | null = null;
  /** Changed records have waited, and are read as soon as a read may start. */
  private hasWaited = false;

  constructor(routes: RouteReader, { readTimeoutMs, clock, setTimer }: ReadQueueOptions, events: ReadQueueEvents) {
    this.routes = routes;
    this.readTimeoutMs = readTimeoutMs;
    this.clock = clock;
    this.setTimer = setTimer;
    this.events = events;
  }

  /** A reading that is at least as recent as this call. Starts one if necessary. */
  fetch(pattern: string, urgent: boolean): PendingRead {
    const current = this.byPattern.get(pattern);
    if (current === undefined) {
      const read = new PendingRead(pattern, urgent);
      this.byPattern.set(pattern, read);
      this.enqueue(read);
      return read;
    }
    if (current.dirty) {
      current.next ??= new PendingRead(pattern, urgent);
      current.next.urgent ||= urgent;
      return current.next;
    }
    if (urgent && !current.urgent) {
      current.urgent = true;
      // It stays in the other queue as well, which skips it once it is sent.
      if (!current.sent) {
        this.urgent.push(current);
        this.pumpSoon();
      }
    }
    return current;
  }

  /** @returns null once all reads have landed; the error of the first that failed, or of the time-out. */
  wait(reads: readonly PendingRead[], waitMs: number): Promise<Error | null> {
    return new Promise((resolve) => {
      let remaining = reads.length;
      const cancel = this.setTimer(Math.max(0, waitMs), () => {
        resolve(readTimedOut(this.readTimeoutMs));
      });
      for (const read of reads) {
        read.waiters.push((error) => {
          if (error === null && --remaining > 0) return;
          cancel();
          resolve(error);
        });
      }
    });
  }

  /** The record has changed: a reading that is under way may bring its old state. */
  invalidate(pattern: string): void {
    const read = this.byPattern.get(pattern);
    if (read?.sent) read.dirty = true;
  }

  /** Any record may have changed. */
  invalidateAll(): void {
    for (const read of this.byPattern.values()) if (read.sent) read.dirty = true;
  }

  /**
   * Resolves once every reading requested so far has ended; those that wait start at once.
   * @returns whether all of them succeeded.
   */
  async settled(): Promise<boolean> {
    this.hasWaited = true;
    this.pump();
    const reads = [...this.byPattern.values()].map((read) => read.next ?? read);
    const errors = await Promise.all(
      reads.map((read) => new Promise<Error | null>((resolve) => read.waiters.push(resolve))),
    );
    return errors.every((error) => error === null);
  }

  /** Ends the timer of what waits. */
  close(): void {
    this.stopWaiting();
  }

  private enqueue(read: PendingRead): void {
    if (this.byPattern.size > waitingMax) {
      const error = new HipacheError(
        'STORE_UNAVAILABLE',
        `more than ${waitingMax} patterns are waiting to be read from the store`,
      );
      // It must not enter a queue any more.
      read.sent = true;
      queueMicrotask(() => this.settle(read, null, error));
      return;
    }
    (read.urgent ? this.urgent : this.background).push(read);
    const isWaiting = this.cancelWait !== null && !read.urgent && this.background.length < waitTogetherMax;
    if (!isWaiting) this.pumpSoon();
  }

  /** Requests of the same turn of the event loop are read together. */
  private pumpSoon(): void {
    if (this.pumping) return;
    this.pumping = true;
    setImmediate(() => this.pump());
  }

  private pump(): void {
    this.pumping = false;
    for (;;) {
      const mayWait = this.urgent.length === 0 && this.background.length < waitTogetherMax;
      const waitMs = mayWait && !this.hasWaited ? this.waitMs() : 0;
      if (waitMs > 0) {
        if (this.background.length > 0) this.cancelWait ??= this.setTimer(waitMs, () => this.onWaited());
        return;
      }
      if (this.running >= readsMax) return;
      this.stopWaiting();
      const batch = this.takeBatch();
      if (batch.length === 0) return;
      this.read(batch);
    }
  }

  private onWaited(): void {
    this.cancelWait = null;
    this.hasWaited = true;
    this.pump();
  }

  private waitMs(): number {
    if (this.running > 0) return waitTogetherMs;
    return this.background.length === 0 ? 0 : this.nextMs - this.clock.monotonicMs();
  }

  private stopWaiting(): void {
    this.cancelWait?.();
    this.cancelWait = null;
    this.hasWaited = false;
  }

  private takeBatch(): PendingRead[] {
    const batch: PendingRead[] = [];
    this.urgent = takeFrom(this.urgent, batch);
    if (batch.length === 0 || !batch[0]?.alone) this.background = takeFrom(this.background, batch);
    return batch;
  }

  private read(batch: readonly PendingRead[]): void {
    this.running++;
    if (batch.some((read) => !read.urgent)) this.nextMs = this.clock.monotonicMs() + betweenMs;
    for (const read of batch) this.events.sent(read);
    let isOver = false;
    const finish = (records: readonly (StoredRoute | null)[] | null, error: HipacheError | null): void => {
      // A result after the timeout is dropped.
      if (isOver) return;
      isOver = true;
      cancel();
      this.running--;
      if (this.running === 0) this.stopWaiting();
      this.land(batch, records, error);
      this.pump();
    };
    const cancel = this.setTimer(this.readTimeoutMs, () => finish(null, readTimedOut(this.readTimeoutMs)));
    Promise.try(() => this.routes.read(batch.map((read) => read.pattern))).then(
      (records) =>
        records.length === batch.length
          ? finish(records, null)
          : finish(null, new HipacheError('STORE_UNAVAILABLE', 'the store returned fewer records than requested')),
      (cause: unknown) => finish(null, toStoreError(cause)),
    );
  }

  private land(
    batch: readonly PendingRead[],
    records: readonly (StoredRoute | null)[] | null,
    error: HipacheError | null,
  ): void {
    if (error?.code === 'STORE_DAMAGED' && batch.length > 1) {
      // A damaged place in the store must not fail the other patterns of the batch.
      for (const read of batch) {
        read.alone = true;
        read.sent = false;
        read.dirty = false;
        this.enqueue(read);
      }
      return;
    }
    this.settleFrom(0, batch, records, error);
  }

  private settleFrom(
    start: number,
    batch: readonly PendingRead[],
    records: readonly (StoredRoute | null)[] | null,
    error: HipacheError | null,
  ): void {
    let elements = 0;
    for (let i = start; i < batch.length; i++) {
      if (elements >= elementsPerTurn) {
        setImmediate(() => this.settleFrom(i, batch, records, error));
        return;
      }
      elements += this.settle(batch[i] as PendingRead, records?.[i] ?? null, error);
    }
  }

  /** @returns the number of elements in the record. */
  private settle(read: PendingRead, record: StoredRoute | null, error: HipacheError | null): number {
    let outcome: Error | null = error;
    let elements = 0;
    try {
      invariant(this.byPattern.get(read.pattern) === read, 'a pattern has one reading at a time');
      if (read.next === null) this.byPattern.delete(read.pattern);
      else this.byPattern.set(read.pattern, read.next);
      elements = record?.frontend.length ?? 0;
      if (error === null) this.events.landed(read, record);
      else this.events.failed(read, error);
    } catch (internal) {
      outcome = internal as Error;
      this.events.onInternalError(outcome);
    }
    for (const waiter of read.waiters) waiter(outcome);
    if (read.next !== null) this.enqueue(read.next);
    return elements;
  }
}

function readTimedOut(timeoutMs: number): HipacheError {
  return new HipacheError('STORE_UNAVAILABLE', `the store did not respond within ${timeoutMs} ms`);
}

/** Moves reads that are not sent yet to `batch`, up to its bound. @returns the rest of the queue. */
function takeFrom(queue: PendingRead[], batch: PendingRead[]): PendingRead[] {
  let taken = 0;
  while (taken < queue.length && batch.length < batchMax) {
    const read = queue[taken] as PendingRead;
    if (read.alone && !read.sent && batch.length > 0) break;
    taken++;
    if (read.sent) continue;
    read.sent = true;
    batch.push(read);
    if (read.alone) break;
  }
  return taken === queue.length ? [] : queue.slice(taken);
}

function toStoreError(cause: unknown): HipacheError {
  if (cause instanceof HipacheError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new HipacheError('STORE_UNAVAILABLE', `the store cannot be read: ${message}`, { cause });
}
