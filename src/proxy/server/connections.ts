import { invariant } from '../../base/invariant.ts';
import type { Backend } from '../../routing/backend.ts';
import type { Counters } from '../counters.ts';

/** A client connection of any protocol, or whose protocol is not known yet. */
export interface ServerConnection {
  /** The proxy stops: the connection ends after its current exchange, or soon if it is unused. */
  drain(): void;
  /** Ends the connection if it has no request in progress. @returns whether it did. */
  closeIfIdle(): boolean;
  /** Whether its request is at this backend. */
  isAt?(backend: Backend): boolean;
  /** Ends only its requests at this backend. Default: all of the connection. */
  endAt?(backend: Backend): void;
  /** Ends the connection and its exchange at once. */
  destroy(): void;
}

/** Connections that are looked at to find an idle one. */
const lookedAtMax = 200;

/** One worker's client connections. */
export class ServerConnections {
  private readonly open = new Set<ServerConnection>();
  private readonly counters: Counters;
  private readonly onClosed: () => void;

  /** @param onClosed called after each connection that has closed. */
  constructor(counters: Counters, onClosed: () => void) {
    this.counters = counters;
    this.onClosed = onClosed;
  }

  get size(): number {
    return this.open.size;
  }

  add(connection: ServerConnection): void {
    this.open.add(connection);
    this.counters.clientConnections++;
    this.counters.clientConnectionsOpen++;
  }

  /** Another object takes over the same connection. */
  replace(former: ServerConnection, next: ServerConnection): void {
    invariant(this.open.delete(former), 'only an open connection can be taken over');
    this.open.add(next);
  }

  /** The connection has closed, or has become a tunnel. */
  delete(connection: ServerConnection): void {
    if (!this.open.delete(connection)) return;
    this.counters.clientConnectionsOpen--;
    this.onClosed();
  }

  /** Ends an idle connection, if there is one among the next few. @returns whether it did. */
  closeIdle(): boolean {
    let left = Math.min(lookedAtMax, this.open.size);
    for (const connection of this.open) {
      if (left-- === 0) break;
      if (connection.closeIfIdle()) return true;
      // To the end, so that the next look finds others. A kept iterator would keep every connection that ever was.
      this.open.delete(connection);
      this.open.add(connection);
    }
    return false;
  }

  drain(): void {
    for (const connection of this.open) connection.drain();
  }

  destroy(): void {
    for (const connection of this.open) connection.destroy();
  }

  /** Ends the connections whose requests are at a backend. @returns how many there were. */
  destroyAt(backend: Backend): number {
    const found = [...this.open].filter((connection) => connection.isAt?.(backend));
    for (const connection of found) {
      if (connection.endAt === undefined) connection.destroy();
      else connection.endAt(backend);
    }
    return found.length;
  }
}
