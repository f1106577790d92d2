import { isIPv4 } from 'node:net';
import type { NameAnswer, NameFailure, NameSource } from './answer.ts';

/** Hears of the addresses of a name. */
export interface NameWatcher {
  /** The addresses, in the order of `NameAnswer.addresses`; called again only when their set has changed. */
  onAddresses(addresses: readonly string[]): void;
  /** A lookup failed and no addresses are known. It is tried again while the name is watched; this may be called again. */
  onFailed(problem: NameFailure): void;
}

/** One watcher of a name, while it is registered. */
export class RegisteredWatch {
  readonly name: string;
  readonly watcher: NameWatcher;
  /** null while the table of names is full. */
  entry: NameEntry | null = null;
  /** The addresses that the watcher knows. */
  given: readonly string[] | null = null;
  isClosed = false;

  constructor(name: string, watcher: NameWatcher) {
    this.name = name;
    this.watcher = watcher;
  }
}

/** A lookup of one name, from its start to its result. */
export interface EntryLookup {
  /** Monotonic. */
  readonly startedMs: number;
  /** Stops waiting for the files, for a slot, or for the name servers. */
  stop(): void;
}

/** Everything known of one name. */
export class NameEntry {
  readonly name: string;
  readonly watches = new Set<RegisteredWatch>();
  /** The last good ones. The array is the same as long as their set is. */
  addresses: readonly string[] | null = null;
  source: NameSource | null = null;
  /** Why the last lookup failed; null if it did not. */
  problem: NameFailure | null = null;
  /** Failed lookups in a row, and how many of them ran into their timeout. */
  failures = 0;
  timeouts = 0;
  /** Monotonic; the end of the addresses' lifetime, or of the pause after a failure. */
  dueMs = Number.NEGATIVE_INFINITY;
  /** Monotonic; how long the addresses of a name without watchers may still be used if a lookup fails. */
  staleUntilMs = Number.NEGATIVE_INFINITY;
  /** Whether a watcher has the addresses: then further ones get them as well, even while they are being refreshed. */
  isInUse = false;
  lookup: EntryLookup | null = null;
  /** Stops the timer of the next lookup. */
  cancelNext: (() => void) | null = null;
  /** Stops the timer after which the last good addresses are used although a lookup is under way. */
  cancelStaleWait: (() => void) | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** Takes the result of a lookup. Addresses of a family of which it knows nothing stay. */
  take(answer: NameAnswer): void {
    const { source, missing } = answer;
    const kept = this.addresses === null || missing === null ? [] : ofFamily(this.addresses, missing);
    const addresses = kept.length === 0 ? answer.addresses : inOrder([...answer.addresses, ...kept]);
    if (this.addresses === null || !isSameSet(addresses, this.addresses)) this.addresses = addresses;
    this.source = source;
    this.problem = null;
    this.failures = 0;
    this.timeouts = 0;
  }

  fail(problem: NameFailure): void {
    this.problem = problem;
    this.failures++;
    this.timeouts = problem.code === 'ETIMEOUT' ? this.timeouts + 1 : 0;
  }

  stopTimers(): void {
    this.cancelNext?.();
    this.cancelNext = null;
    this.cancelStaleWait?.();
    this.cancelStaleWait = null;
  }
}

function ofFamily(addresses: readonly string[], family: 4 | 6): readonly string[] {
  return addresses.filter((address) => isIPv4(address) === (family === 4));
}

function inOrder(addresses: readonly string[]): readonly string[] {
  const unique = [...new Set(addresses)];
  return [...ofFamily(unique, 4), ...ofFamily(unique, 6)];
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address) => b.includes(address));
}
