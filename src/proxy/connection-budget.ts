import type { Origins } from './backend/origins.ts';
import type { Counters } from './counters.ts';
import type { ServerConnections } from './server/connections.ts';

/**
 * Keeps the connections of clients and backends together within the descriptors of the process, so that the process
 * always has some left for itself. When all are in use, idle connections make room.
 */
export class ConnectionBudget {
  private readonly max: number;
  private readonly counters: Counters;
  private readonly connections: ServerConnections;
  private readonly origins: Origins;

  /** @param max connections of clients and backends; a tunnel has two. */
  constructor(max: number, counters: Counters, connections: ServerConnections, origins: Origins) {
    this.max = max;
    this.counters = counters;
    this.connections = connections;
    this.origins = origins;
  }

  /**
   * Whether one more connection can be opened. If none is left, closes an idle one: of a backend, or else of a client
   * that has no request in progress, as HTTP allows at any time (RFC 9112 section 9.5).
   */
  makeRoom(): boolean {
    const { backendConnectionsOpen, clientConnectionsOpen, tunnelsOpen, webConnectionsOpen } = this.counters;
    const open = clientConnectionsOpen + backendConnectionsOpen + 2 * tunnelsOpen + webConnectionsOpen;
    if (open < this.max) return true;
    if (!this.origins.closeLongestIdle() && !this.connections.closeIdle()) return false;
    this.counters.idleConnectionsClosed++;
    return true;
  }
}
