import { invariant } from '../../base/invariant.ts';
import type { Counters } from '../counters.ts';

/** A connection of a client, in whatever protocol, also one that has none yet. */
export interface ServerConnection {
  /** The proxy stops: the connection ends with what is under way on it, an unused one soon. */
  drain(): void;
  /** Ends the connection at once, with what is under way on it. */
  destroy(): void;
}

/** The connections of clients of one worker. */
export class ServerConnections {
  private readonly open = new Set<ServerConnection>();
  private readonly counters: Counters;
  private readonly onClosed: () => void;

  /** @param onClosed called for each connection that has gone. */
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

  /** The same connection goes on as another object. */
  replace(former: ServerConnection, next: ServerConnection): void {
    invariant(this.open.delete(former), 'only an open connection can go on as another one');
    this.open.add(next);
  }

  /** It is closed, or has become a tunnel. */
  delete(connection: ServerConnection): void {
    if (!this.open.delete(connection)) return;
    this.counters.clientConnectionsOpen--;
    this.onClosed();
  }

  drain(): void {
    for (const connection of this.open) connection.drain();
  }

  destroy(): void {
    for (const connection of this.open) connection.destroy();
  }
}
