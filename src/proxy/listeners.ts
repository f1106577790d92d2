import type { Server } from 'node:net';
import { performance } from 'node:perf_hooks';

/** One listening socket. */
interface Listener {
  readonly server: Server;
  /** Connections that it has accepted. */
  accepted: number;
  /** The same at the end of the last turn, and how many turns in a row had none; only while it stops. */
  acceptedBefore: number;
  emptyTurns: number;
}

/** A turn of the event loop that is shorter than this, in ms, leaves hardly any time for a connection to be queued. */
const shortTurnMs = 0.2;
/** Turns without a connection after which a socket is closed even if none of them was short. */
const emptyTurnsMax = 50;
/** How long the last connections may take to be accepted, in ms: under heavy load their queue may never be empty. */
const lastMs = 2000;

/** The listening sockets of one worker. */
export class Listeners {
  private readonly open = new Set<Listener>();
  private stopping: Promise<void> | null = null;

  /** @returns a function to call with each connection that the server has accepted. */
  add(server: Server): () => void {
    const listener: Listener = { server, accepted: 0, acceptedBefore: -1, emptyTurns: 0 };
    this.open.add(listener);
    return () => {
      listener.accepted++;
    };
  }

  /**
   * Stops accepting. Connections that the kernel has already completed are accepted first: the close of a socket
   * resets those that are in its queue. Resolves once all sockets are closed.
   *
   * libuv accepts one connection of a socket per turn of the event loop. So a turn without one has found an empty
   * queue, and the socket is closed right after it: in the immediate that follows the poll.
   */
  stop(): Promise<void> {
    this.stopping ??= this.acceptLast();
    return this.stopping;
  }

  /** Closes all sockets at once. */
  close(): void {
    for (const { server } of this.open) server.close();
    this.open.clear();
  }

  private async acceptLast(): Promise<void> {
    const endMs = performance.now() + lastMs;
    await nextTurn();
    while (this.open.size > 0) {
      const turnMs = await nextTurn();
      if (performance.now() > endMs) this.close();
      for (const listener of this.open) {
        const isEmpty = listener.acceptedBefore === listener.accepted;
        listener.emptyTurns = isEmpty ? listener.emptyTurns + 1 : 0;
        listener.acceptedBefore = listener.accepted;
        if (!isEmpty || (turnMs > shortTurnMs && listener.emptyTurns < emptyTurnsMax)) continue;
        listener.server.close();
        this.open.delete(listener);
      }
    }
  }
}

/** @returns how long the turn took, in ms. */
function nextTurn(): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve) => setImmediate(() => resolve(performance.now() - startMs)));
}
