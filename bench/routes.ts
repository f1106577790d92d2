/** Hosts with their backends, the same for every proxy. */
export interface RouteSet {
  readonly name: string;
  /** Host names; the backend of the i-th is number `i % backendPorts.length`. */
  readonly hosts: readonly string[];
  /** Backends of each host: that one, and those with the next numbers. Default 1. */
  readonly backends?: number;
  /** One more host, which can be moved while the proxy runs. It has one backend, at first the telling one `a`. */
  readonly moved?: string;
  /** Where Hipache has them. Default: the embedded store. */
  readonly store?: 'redis';
}

/** `count` hosts. The names are those of customers' shops in length. */
export function routeSet(count: number): RouteSet {
  const hosts = Array.from({ length: count }, (_, i) => `shop-${String(i).padStart(6, '0')}.bench.example`);
  return { name: `hosts-${count}`, hosts };
}
