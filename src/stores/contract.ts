import type { DownMark } from '../routing/backend.ts';
import type { FailuresByUrl } from './failures.ts';

/**
 * An open store: collections of records, and word of their changes. A method that fails rejects with a HipacheError of
 * source `store`. A write resolves once it is durable and every process can read it.
 */
export interface Store {
  readonly capabilities: StoreCapabilities;
  readonly routes: RouteCollection;
  readonly options: OptionCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  /** Null if instances do not share the store. */
  readonly instances: InstanceCollection | null;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection;
  /**
   * Calls `listener`, the only one, for every change by any process to what was read here. Resolves when no later
   * change can be missed; if the store cannot be reached yet, after `lost`, and `restored` follows once it can.
   */
  watch(listener: ChangeListener): Promise<void>;
  /** Why the store may report changes of records that have not changed, for the log. */
  readonly whyUnchanged?: string;
  /** Gives back every resource; pending reads fail. Idempotent. */
  close(): Promise<void>;
}

/** How drivers differ, beyond their collections. */
export interface StoreCapabilities {
  /**
   * How a watched store finds changes. `push`: the store reports them; `poll`: the driver looks for them;
   * `expiry`: they cannot be found, so `expired` comes regularly and every record is read again.
   */
  readonly changes: 'push' | 'poll' | 'expiry';
  /** Changes of routes in one transaction, at most: 1 if there are no transactions. */
  readonly changesPerTransaction: number;
  /** Whether a route can have a time to live. */
  readonly expires: boolean;
}

/** Collections that report their changes. A changed mark is reported as a change of its route. */
export type CollectionName = 'routes' | 'options' | 'certificates';

export interface ChangeListener {
  /** These records may differ from what was last read. */
  changed(collection: CollectionName, keys: readonly string[]): void;
  /** Any record may differ from what was last read, and the store cannot say which. It goes on reporting changes. */
  expired(): void;
  /** Changes may have been missed, or will be: nothing that was read is verified any more. */
  lost(error: Error): void;
  /** Changes are reported again from now on. */
  restored(): void;
  /** `InstanceCollection.revision` may differ from what was last read; called once for each reading. */
  revised?(): void;
}

/** The record of one route, unparsed. */
export interface StoredRoute {
  /**
   * `[identifier, url, url, …]`, Hipache's record; elements that are not strings are passed on unchanged. Those after the
   * first 10,000 backends do not count: a driver may leave them out, with a diagnostic.
   */
  readonly frontend: readonly unknown[];
  /** Dead marks by backend URL, possibly with some that have ended. */
  readonly down: ReadonlyMap<string, DownMark>;
  /** The options of the pattern, if it has some. A pattern may have options and no route: `frontend` is then empty. */
  readonly options?: OptionTexts;
  /** Why the record as a whole cannot be read, if so. It then counts as a record without backends. */
  readonly problem?: string;
  /** Problems with parts of the record; the other parts are used. */
  readonly diagnostics?: readonly string[];
}

/**
 * Whether the record is that of a route: Hipache passes over an empty list, as if there were none. A record that cannot be
 * read is a route without backends.
 */
export function hasRoute(record: StoredRoute | null): record is StoredRoute {
  return record !== null && (record.frontend.length > 0 || record.problem !== undefined);
}

/** One record of a listing. */
export interface RouteRecord {
  readonly pattern: string;
  /** `[identifier, url, url, …]`, as it is stored. */
  readonly frontend: readonly unknown[];
}

/** Reading routes: all that serving needs. */
export interface RouteReader {
  /** The records of `patterns`, in their order; null for a pattern without record. One round trip. */
  read(patterns: readonly string[]): Promise<readonly (StoredRoute | null)[]>;
}

/** A change of the record of one pattern. */
export interface RouteChange {
  /**
   * `set` creates or replaces the record. `add` appends the URLs that it does not have, and creates it if necessary; a URL
   * that it has with another `#weight=` gets the new weight. `remove` removes URLs, with any weight, together with their
   * marks; it removes the record if `urls` is empty or if no URL remains.
   */
  readonly kind: 'set' | 'add' | 'remove';
  readonly pattern: string;
  readonly urls: readonly string[];
  /** Of a record that is set. If it is null, an existing record keeps its id, and a new one gets the pattern. */
  readonly id?: string | null | undefined;
  /** The version (`recordVersion`) that the record must have, or there is a conflict; if undefined, any. */
  readonly ifVersion?: string | undefined;
  /**
   * Of a record that is set: the store removes it after so many seconds, a whole number. Null or undefined: never. The other
   * kinds of changes keep the end that the record has.
   */
  readonly ttlSeconds?: number | null | undefined;
}

/** The record of a change before and after it. */
export interface RouteOutcome {
  /** Null for no record, `[null]` for one that could not be read. */
  readonly before: readonly unknown[] | null;
  readonly after: readonly unknown[] | null;
}

/** Routes by host pattern: an exact host, `*.domain`, or `*`. */
export interface RouteCollection extends RouteReader {
  /**
   * Makes changes of different patterns in one transaction: all of them, or none if it rejects.
   * @returns the outcomes, in their order.
   * @throws HipacheError CONFLICT if a condition does not hold; STORE_UNSUPPORTED for more than `changesPerTransaction`, and
   *   for a time to live if routes cannot expire.
   */
  apply(changes: readonly RouteChange[]): Promise<readonly RouteOutcome[]>;
  /** Applies one change that sets a record. */
  set(pattern: string, id: string | null, urls: readonly string[]): Promise<void>;
  /** Applies one change that adds to a record. */
  add(pattern: string, urls: readonly string[]): Promise<void>;
  /**
   * Applies one change that removes from a record.
   * @returns the removed URLs; null if the pattern has no record.
   */
  remove(pattern: string, urls: readonly string[]): Promise<readonly string[] | null>;
  /**
   * Creates or replaces records as they are, also with elements that are not strings, if the store can hold them. For
   * many at once: each record is whole at every moment, all of them together need not be.
   */
  put(records: readonly RouteRecord[]): Promise<void>;
  /** Up to `limit` records whose patterns follow `after`, in code point order. */
  list(after: string, limit: number): Promise<readonly RouteRecord[]>;
  /** When the record of a pattern expires, in epoch ms, to about a second; null: never. */
  expiry(pattern: string): Promise<number | null>;
}

/** Options by name, unchecked, each as a text: see `policy/option-schema.ts`. */
export type OptionTexts = ReadonlyMap<string, string>;

/** The options of one pattern. */
export interface OptionRecord {
  readonly pattern: string;
  readonly options: OptionTexts;
}

export interface StoredOptions {
  readonly options: OptionTexts;
  /** Parts of the record that cannot be read, or why none of it can. */
  readonly problems: readonly string[];
}

/** The options of a pattern before and after a change; empty if there are none. */
export interface OptionOutcome {
  readonly before: OptionTexts;
  readonly after: OptionTexts;
}

/**
 * Options by host pattern. They are independent of the route: they stay when it is removed. `RouteReader.read` brings them
 * too, so that serving reads a pattern once.
 */
export interface OptionCollection {
  /** The options of `patterns`, in their order; null for a pattern without options. One round trip. */
  read(patterns: readonly string[]): Promise<readonly (StoredOptions | null)[]>;
  /**
   * Sets options of a pattern, and removes those whose value is null, in one transaction; the others stay. A record that
   * cannot be read is replaced.
   */
  change(pattern: string, changes: ReadonlyMap<string, string | null>): Promise<OptionOutcome>;
  /**
   * Creates or replaces all options of patterns; no options remove the record. For many at once: each record is whole at
   * every moment, all of them together need not be.
   */
  put(records: readonly OptionRecord[]): Promise<void>;
  /** The records of up to `limit` patterns that follow `after`, in code point order. */
  list(after: string, limit: number): Promise<readonly OptionRecord[]>;
}

/** Dead marks, which instances share. `url` is a backend's identity: its URL without weight. */
export interface MarkCollection {
  /**
   * Marks a backend of a route. Of two marks the one that ends later holds.
   * @returns false if the store only reports the failure, because another program decides on marks.
   */
  write(pattern: string, url: string, mark: DownMark): Promise<boolean>;
  remove(pattern: string, url: string): Promise<void>;
}

/**
 * The last failures of backends, of all instances together, for people who look for their cause. Nothing that is served
 * depends on them; the store forgets a series `failuresKeptMs` after its last failure.
 */
export interface FailureCollection {
  /** Adds failures of backends of a route: to the series of their URLs, or as new ones. */
  add(pattern: string, failures: FailuresByUrl): Promise<void>;
  /** The series of a route that have not been forgotten. */
  read(pattern: string): Promise<FailuresByUrl>;
}

/** A certificate and its private key, unchecked. */
export interface CertificatePair {
  /** PEM: the leaf, then its chain. */
  readonly certificate: string;
  /** PEM. Must never be shown. */
  readonly key: string;
}

export interface StoredCertificate extends CertificatePair {
  /** Why the record cannot be read, if so. Both texts are then empty. */
  readonly problem?: string;
}

/** Certificates by host pattern: an exact host, `*.domain`, or `*`. */
export interface CertificateCollection {
  /** The certificates of `patterns`, in their order; null for a pattern without certificate. One round trip. */
  read(patterns: readonly string[]): Promise<readonly (StoredCertificate | null)[]>;
  /** Creates or replaces a record, both texts at once. */
  write(pattern: string, pair: CertificatePair): Promise<void>;
  /** @returns whether there was one. */
  remove(pattern: string): Promise<boolean>;
  /** Up to `limit` patterns with a certificate that follow `after`, in code point order. */
  list(after: string, limit: number): Promise<readonly string[]>;
}

/** The instances that share the store, and what each of them has applied. */
export interface InstanceCollection {
  /**
   * Rises with every write of Hipache's to a collection that is served from; 0 before the first. A change is reported before the
   * revision that it made can be read.
   */
  revision(): Promise<number>;
  /** Creates or replaces the record of an instance. The store forgets it after `ttlMs`. */
  write(instance: string, fields: Readonly<Record<string, string>>, ttlMs: number): Promise<void>;
  remove(instance: string): Promise<void>;
  /** The records that the store has not forgotten, in no order. */
  list(): Promise<readonly StoredInstance[]>;
}

/**
 * An operator's word that missing routes were removed, which ends the alarm of every wipe guard that it finds raised: a
 * text that differs each time. It is one of the records, so that a store that is wiped loses it too.
 */
export interface Acceptance {
  /** Null if there is none. */
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

/** The condition and the end of a note that is written. */
export interface NoteCondition {
  /** The present text, null for no note; undefined: any. */
  readonly expected?: string | null;
  /** The note ends after so many ms; undefined: never. Stores may take a second more. */
  readonly ttlMs?: number;
  /** Whether Redis publishes the text on the channel `hipache:events`. Other stores have watches for notes, or nothing. */
  readonly announce?: boolean;
  /**
   * When somebody has to look at the note, in epoch ms: `NoteCollection.due` has it from then on. Undefined: as before. Not for
   * a note that ends.
   */
  readonly dueMs?: number;
}

/** A note whose time has come. */
export interface DueNote {
  readonly name: string;
  readonly text: string;
}

/**
 * Small texts by name, by which processes coordinate what must happen once: leases, deploys. Nobody hears of their changes,
 * and they raise no revision. In a store that cannot remove them by itself, the clocks of the machines decide when one has
 * ended.
 */
export interface NoteTexts {
  /** Null if there is none. @param name any text, up to 300 bytes. */
  read(name: string): Promise<string | null>;
  /**
   * Creates or replaces a note; null removes it.
   * @returns whether the condition held; if not, nothing is written.
   */
  write(name: string, text: string | null, condition?: NoteCondition): Promise<boolean>;
}

export interface NoteCollection extends NoteTexts {
  /**
   * Up to `limit` notes whose `dueMs` is not after `atMs`, the earliest first. Others cost nothing, except in ZooKeeper, which
   * lists the names of all.
   * @throws HipacheError STORE_UNSUPPORTED if the store cannot tell.
   */
  due(atMs: number, limit: number): Promise<readonly DueNote[]>;
}

/** The record of an instance. The fields are those that it has written, if no other program has changed them. */
export interface StoredInstance {
  readonly instance: string;
  readonly fields: Readonly<Record<string, string>>;
}
