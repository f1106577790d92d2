import { HipacheError } from '../base/errors.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { RouteReader, StoredHost } from './contract.ts';

/** Patterns in one read of the store. */
const batchMax = 256;
/** Reads of the store under way at once: a slow one does not hold up the next. */
const readsMax = 4;
/** Patterns that wait to be read; past this a read fails at once. */
const waitingMax = 100_000;

/** Runs `action` after `delayMs` unless the returned function is called first. */
export type SetTimer = (delayMs: number, action: () => void) => () => void;

/** `SetTimer` of the real time. */
export function setRealTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  return () => clearTimeout(timer);
}

/** One reading of one pattern, shared by all who want it. */
export class Flight {
  readonly pattern: string;
  /** A request waits for it, so it goes before refreshes and its result is kept. */
  urgent: boolean;
  /** Read by itself, since reading it with others failed. */
  alone = false;
  sent = false;
  /** Changed in the store after it was sent: what it brings may be old. */
  dirty = false;
  /** Numbers of the cache as it was sent. */
  epoch = -1;
  sequence = 0;
  /** The reading after this one, wanted since it became dirty. */
  next: Flight | null = null;
  readonly waiters: ((error: HipacheError | null) => void)[] = [];
  /** What it brought, once it has landed. */
  frontend: Frontend | null = null;

  constructor(pattern: string, urgent: boolean) {
    this.pattern = pattern;
    this.urgent = urgent;
  }
}

export interface FlightEvents {
  /** The reading begins now. */
  sent(flight: Flight): void;
  /** Before its waiters hear of it. */
  landed(flight: Flight, host: StoredHost | null): void;
  failed(flight: Flight, error: HipacheError): void;
}

/**
 * Reads patterns from a store in batches, one reading of a pattern at a time. Whoever asks for a pattern that is being
 * read shares that reading, unless it became dirty: then the next one, which starts when it has ended. So however
 * often one pattern changes, one reading is under way and one waits.
 */
export class Flights {
  readonly #store: RouteReader;
  readonly #readTimeoutMs: number;
  readonly #setTimer: SetTimer;
  readonly #events: FlightEvents;
  readonly #byPattern = new Map<string, Flight>();
  #urgent: Flight[] = [];
  #background: Flight[] = [];
  #reads = 0;
  #pumping = false;

  constructor(store: RouteReader, readTimeoutMs: number, setTimer: SetTimer, events: FlightEvents) {
    this.#store = store;
    this.#readTimeoutMs = readTimeoutMs;
    this.#setTimer = setTimer;
    this.#events = events;
  }

  /** Patterns being read or about to be. */
  get size(): number {
    return this.#byPattern.size;
  }

  /** The reading that shows at least what the store has now; started if need be. */
  fetch(pattern: string, urgent: boolean): Flight {
    const current = this.#byPattern.get(pattern);
    if (current === undefined) {
      const flight = new Flight(pattern, urgent);
      this.#byPattern.set(pattern, flight);
      this.#enqueue(flight);
      return flight;
    }
    if (current.dirty) {
      current.next ??= new Flight(pattern, urgent);
      current.next.urgent ||= urgent;
      return current.next;
    }
    if (urgent && !current.urgent) {
      current.urgent = true;
      // It stays in the other queue too, and is skipped there once it is sent.
      if (!current.sent) this.#urgent.push(current);
    }
    return current;
  }

  /** The pattern changed in the store: a reading that is under way may show its old state. */
  invalidate(pattern: string): void {
    const flight = this.#byPattern.get(pattern);
    if (flight?.sent) flight.dirty = true;
  }

  /** Any pattern may have changed. */
  invalidateAll(): void {
    for (const flight of this.#byPattern.values()) if (flight.sent) flight.dirty = true;
  }

  /** Resolves once every reading that is wanted now has ended: whether all brought something. */
  async settled(): Promise<boolean> {
    const flights = [...this.#byPattern.values()].map((flight) => flight.next ?? flight);
    const errors = await Promise.all(
      flights.map((flight) => new Promise<HipacheError | null>((resolve) => flight.waiters.push(resolve))),
    );
    return errors.every((error) => error === null);
  }

  #enqueue(flight: Flight): void {
    if (this.#byPattern.size > waitingMax) {
      const error = new HipacheError(
        'STORE_UNAVAILABLE',
        `more than ${waitingMax} patterns wait to be read from the store`,
      );
      queueMicrotask(() => this.#settle(flight, null, error));
      return;
    }
    (flight.urgent ? this.#urgent : this.#background).push(flight);
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => this.#pump());
  }

  #pump(): void {
    this.#pumping = false;
    while (this.#reads < readsMax) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      this.#read(batch);
    }
  }

  #takeBatch(): Flight[] {
    const batch: Flight[] = [];
    this.#urgent = takeFrom(this.#urgent, batch);
    if (batch.length === 0 || !batch[0]?.alone) this.#background = takeFrom(this.#background, batch);
    return batch;
  }

  #read(batch: readonly Flight[]): void {
    this.#reads++;
    for (const flight of batch) this.#events.sent(flight);
    let answered = false;
    const finish = (hosts: readonly (StoredHost | null)[] | null, error: HipacheError | null): void => {
      // What comes after its time-out is too late to be of use.
      if (answered) return;
      answered = true;
      cancel();
      this.#reads--;
      this.#land(batch, hosts, error);
      this.#pump();
    };
    const cancel = this.#setTimer(this.#readTimeoutMs, () => finish(null, this.#timedOut()));
    Promise.try(() => this.#store.read(batch.map((flight) => flight.pattern))).then(
      (hosts) =>
        hosts.length === batch.length
          ? finish(hosts, null)
          : finish(null, new HipacheError('STORE_UNAVAILABLE', 'the store gave fewer answers than it was asked for')),
      (cause: unknown) => finish(null, toStoreError(cause)),
    );
  }

  #land(batch: readonly Flight[], hosts: readonly (StoredHost | null)[] | null, error: HipacheError | null): void {
    if (error?.code === 'STORE_DAMAGED' && batch.length > 1) {
      // A damaged place in the store must not take along those that were read with it.
      for (const flight of batch) {
        flight.alone = true;
        flight.sent = false;
        flight.dirty = false;
        this.#enqueue(flight);
      }
      return;
    }
    for (let i = 0; i < batch.length; i++) this.#settle(batch[i] as Flight, hosts?.[i] ?? null, error);
  }

  #settle(flight: Flight, host: StoredHost | null, error: HipacheError | null): void {
    if (flight.next === null) this.#byPattern.delete(flight.pattern);
    else this.#byPattern.set(flight.pattern, flight.next);
    if (error === null) this.#events.landed(flight, host);
    else this.#events.failed(flight, error);
    for (const waiter of flight.waiters) waiter(error);
    if (flight.next !== null) this.#enqueue(flight.next);
  }

  #timedOut(): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `the store did not answer within ${this.#readTimeoutMs} ms`);
  }
}

/** Moves flights that are not sent yet to `batch`, up to its bound. @returns what is left. */
function takeFrom(queue: Flight[], batch: Flight[]): Flight[] {
  let taken = 0;
  while (taken < queue.length && batch.length < batchMax) {
    const flight = queue[taken] as Flight;
    if (flight.alone && !flight.sent && batch.length > 0) break;
    taken++;
    if (flight.sent) continue;
    flight.sent = true;
    batch.push(flight);
    if (flight.alone) break;
  }
  return taken === queue.length ? [] : queue.slice(taken);
}

function toStoreError(cause: unknown): HipacheError {
  if (cause instanceof HipacheError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new HipacheError('STORE_UNAVAILABLE', `the store cannot be read: ${message}`, { cause });
}
