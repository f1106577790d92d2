import type { DownMark } from '../routing/backend.ts';

/** What a store holds for one host pattern, unparsed. */
export interface StoredHost {
  /** `[identifier, url, url, …]`, Hipache's record; what is not a string in the store is passed as it was found. */
  readonly frontend: readonly unknown[];
  /** Dead marks by backend URL; ended ones may be included. */
  readonly down: ReadonlyMap<string, DownMark>;
  /** Why the record as a whole cannot be read, where that is so: it then counts as a record without backends. */
  readonly problem?: string;
  /** What else of it cannot be read; the rest serves. */
  readonly diagnostics?: readonly string[];
}

/** The one interface that every driver has. */
export interface RouteReader {
  /**
   * The records of `patterns`, in their order, null where there is none: one round trip.
   * @throws HipacheError with source `store`.
   */
  read(patterns: readonly string[]): Promise<readonly (StoredHost | null)[]>;
  /** Gives back every resource; pending reads fail. Idempotent. */
  close(): Promise<void>;
}

/** A certificate and its private key as a store holds them, unchecked. */
export interface StoredCertificate {
  /** PEM, the leaf first, then what leads to its root. */
  readonly certificate: string;
  /** PEM. Never to be shown. */
  readonly key: string;
  /** Why the record cannot be read, where that is so; both texts are empty then. */
  readonly problem?: string;
}

/** Reading certificates by host pattern: an exact host, `*.domain`, or `*`. */
export interface CertificateReader {
  /**
   * The certificates of `patterns`, in their order, null where there is none: one round trip.
   * @throws HipacheError with source `store`.
   */
  readCertificates(patterns: readonly string[]): Promise<readonly (StoredCertificate | null)[]>;
}

export interface ChangeListener {
  /** These patterns may have other records now than when they were last read. */
  changed(patterns: readonly string[]): void;
  /** The same of certificates. */
  certificatesChanged(patterns: readonly string[]): void;
  /**
   * Everything that has been read may be older than the store by now, which cannot tell what is; it goes on telling
   * of changes as well as it can. Every record is to be verified at its next use.
   */
  expired(): void;
  /** Changes may have been missed, or the way they are told is lost: nothing that was read is verified any more. */
  lost(error: Error): void;
  /** Told again: changes from now on will be heard. */
  restored(): void;
  /** The revision of the store may be another one than when it was last read; told once for each reading. */
  revised?(): void;
}

/** A store that tells of changes, by any process, to what it has been asked for. */
export interface ChangeSource {
  /**
   * At most one listener. Resolves when every later change will be told; where the store is not there yet, having told
   * `lost`, and tells `restored` once it is.
   */
  watch(listener: ChangeListener): Promise<void>;
}

/** Writing routes. Every method resolves once the change is durable and readable by every process. */
export interface RouteWriter {
  /** Makes or replaces the record; `id` null keeps that of an existing record, else the pattern is the id. */
  set(pattern: string, id: string | null, urls: readonly string[]): Promise<void>;
  /**
   * Appends the URLs that the record does not have yet, in one transaction; makes the record where there is none. One
   * that it has with another `#weight=` gets the new weight.
   */
  add(pattern: string, urls: readonly string[]): Promise<void>;
  /**
   * Takes the URLs from the record, the whole record where none are given or none remain. Weights do not matter: a
   * URL is found whatever `#weight=` either has. The marks of what is removed are removed with it.
   * @returns what was removed: the URLs, or null where the pattern has no record.
   */
  remove(pattern: string, urls: readonly string[]): Promise<readonly string[] | null>;
  /** Every pattern that starts after `after` in code point order, at most `limit` of them. */
  list(after: string, limit: number): Promise<readonly { pattern: string; frontend: readonly unknown[] }[]>;
}

/** Sharing dead marks. `url` is a backend's identity, without weight. A mark is a change of its pattern. */
export interface DownMarker {
  mark(pattern: string, url: string, mark: DownMark): Promise<void>;
  unmark(pattern: string, url: string): Promise<void>;
}

/** Writing certificates. Every method resolves once the change is durable and readable by every process. */
export interface CertificateWriter {
  /** Makes or replaces the record, both texts at once. They are not checked. */
  setCertificate(pattern: string, record: Pick<StoredCertificate, 'certificate' | 'key'>): Promise<void>;
  /** @returns whether there was one. */
  removeCertificate(pattern: string): Promise<boolean>;
  /** Every pattern with a certificate that starts after `after` in code point order, at most `limit` of them. */
  listCertificates(after: string, limit: number): Promise<readonly string[]>;
}

/** What a store that instances share says of them. Every method: @throws HipacheError with source `store`. */
export interface FleetStore {
  /** Raised by every write of Hipache's; 0 before the first. Read after all changes up to it have been told. */
  revision(): Promise<number>;
  /** Makes or replaces the record of an instance, which is forgotten after `ttlMs`. Raises no revision. */
  announce(instance: string, fields: Readonly<Record<string, string>>, ttlMs: number): Promise<void>;
  /** Removes the record of an instance. */
  withdraw(instance: string): Promise<void>;
}

/** What a driver makes of its URL. */
export type Store = RouteReader &
  ChangeSource &
  RouteWriter &
  DownMarker &
  CertificateReader &
  CertificateWriter & { readonly fleet?: FleetStore };
