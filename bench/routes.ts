/** Hosts with their backends, the same for every proxy. */
export interface RouteSet {
  readonly name: string;
  /** Host names; the backend of the i-th is number `i % backendPorts.length`. */
  readonly hosts: readonly string[];
  /** Backends of each host: that one, and those with the next numbers. Default 1. */
  readonly backends?: number;
  /** One more host, which can be moved while the proxy runs. It has one backend, at first the telling one `a`. */
  readonly moved?: string;
  /** Whether the backend of all hosts is that of gRPC. */
  readonly grpc?: true;
  /** Options of Hipache, by the pattern. */
  readonly options?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Routes of prefixes of paths, with the number of their backend. Of Hipache. */
  readonly paths?: Readonly<Record<string, number>>;
  /** Whether each host has a certificate of its own. Of Hipache and HAProxy. */
  readonly certificates?: true;
  /** Where Hipache has them. Default: the embedded store. */
  readonly store?: 'redis' | 'sqlite';
  /** How many Hipache keeps in its cache. Default: its own. */
  readonly cacheEntriesMax?: number;
}

/** `count` hosts. */
export function routeSet(count: number): RouteSet {
  return { name: `hosts-${count}`, hosts: Array.from({ length: count }, (_, i) => shopName(i)) };
}

/** The host of this number. Its name is that of a customer's shop in length. */
export function shopName(number: number): string {
  return `shop-${String(number).padStart(6, '0')}.bench.example`;
}
