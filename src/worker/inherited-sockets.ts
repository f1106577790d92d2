import { closeSync } from 'node:fs';
import type { InheritedSocket } from '../processes/messages.ts';

/** A worker's inherited sockets: it accepts from its shares of each address, and keeps the others open. */
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

  /** Accepts from these shares of every address, in addition to the current ones. */
  async accept(shares: readonly number[]): Promise<void> {
    for (const socket of [...this.unused]) {
      if (!shares.includes(socket.share)) continue;
      this.unused.delete(socket);
      await this.listen(socket);
    }
  }

  /** Closes the others: while any process has a socket open, the kernel queues connections for it. */
  closeUnused(): void {
    for (const { fd } of this.unused) this.closeDescriptor(fd);
    this.unused.clear();
  }
}
