/** Hosts with their backends, the same for every proxy. */
export interface RouteSet {
  readonly name: string;
  /** Host names; the backend of the i-th is number `i % backendPorts.length`. */
  readonly hosts: readonly string[];
  /** Backends of each host. Default 1. */
  readonly backends?: number;
  /** Where Hipache has them. Default: the embedded store. */
  readonly store?: 'redis';
}

/** `count` hosts. The names are those of customers' shops in length. */
export function routeSet(count: number): RouteSet {
  const hosts = Array.from({ length: count }, (_, i) => `shop-${String(i).padStart(6, '0')}.bench.example`);
  return { name: `hosts-${count}`, hosts };
}
