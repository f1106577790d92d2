/** The reason that a name has no addresses now. */
export interface NameFailure {
  /**
   * A code of c-ares: `ENOTFOUND` (no such name), `ENODATA` (the name has no address), `ETIMEOUT`, `ESERVFAIL`,
   * `EREFUSED`, `ECONNREFUSED` and others; `OVERLOADED` if the resolver has reached a limit; `ECANCELLED` once it is
   * closed.
   */
  readonly code: string;
  readonly message: string;
}

export type NameSource = 'dns' | 'hosts' | 'localhost';

export type Family = 4 | 6;

/** The addresses of a name, as one lookup found them. */
export interface NameAnswer {
  /** IPv4 before IPv6, otherwise in the order of the answer. Never empty, and none is repeated. */
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
  readonly source: NameSource;
  /** The family whose query failed or was too slow, so that nothing is known of it; null if both are known. */
  readonly missing: Family | null;
}

/** How names are looked up. */
export interface NameLookup {
  /** The addresses that are known without a query. */
  local(name: string): Promise<NameAnswer | null>;
  /**
   * Asks the name servers. Calls one of the functions of `listener` once, never before it returns.
   * @returns cancels the lookup; `listener` is then not called.
   */
  query(name: string, listener: LookupListener): () => void;
}

export interface LookupListener {
  found(answer: NameAnswer): void;
  failed(failure: NameFailure): void;
}
