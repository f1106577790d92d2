/** The end of a route that expires. */
export interface RouteExpiry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly remainingMs: number;
}

/** @param expiryMs as the store gives it; null for a route that does not expire. */
export function toExpiry(expiryMs: number | null, nowMs: number): RouteExpiry | null {
  return expiryMs === null ? null : { at: new Date(expiryMs).toISOString(), remainingMs: expiryMs - nowMs };
}
