import { closeSync } from 'node:fs';
import type { InheritedSocket } from '../processes/messages.ts';

/** The sockets that a worker has inherited: it accepts from its shares of each address, and holds the others open. */
export class InheritedSockets {
  private readonly unused: Set<InheritedSocket>;
  private readonly listen: (socket: InheritedSocket) => Promise<unknown>;
  private readonly closeDescriptor: (fd: number) => void;

  /** @param listen accepts from a socket from now on; it then belongs to the listener. */
  constructor(
    sockets: readonly InheritedSocket[],
    listen: (socket: InheritedSocket) => Promise<unknown>,
    closeDescriptor: (fd: number) => void = closeSync,
  ) {
    this.unused = new Set(sockets);
    this.listen = listen;
    this.closeDescriptor = closeDescriptor;
  }

  /** Accepts from these shares of every address, besides those it accepts from already. */
  async accept(shares: readonly number[]): Promise<void> {
    for (const socket of [...this.unused]) {
      if (!shares.includes(socket.share)) continue;
      this.unused.delete(socket);
      await this.listen(socket);
    }
  }

  /** Gives up the others: as long as any process has a socket, the system takes connections for it. */
  closeUnused(): void {
    for (const { fd } of this.unused) this.closeDescriptor(fd);
    this.unused.clear();
  }
}
