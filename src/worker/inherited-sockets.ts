import { closeSync } from 'node:fs';
import { type InheritedSocket, type ListenPlace, placeOf, type WorkerPlace } from '../processes/messages.ts';
import { sharesOf } from '../processes/shares.ts';

/** A worker's inherited sockets: it accepts from its share of each address, and keeps the others open. */
export class InheritedSockets {
  private readonly unused: Set<InheritedSocket>;
  /** Sockets of each address. */
  private readonly counts = new Map<number, number>();
  private readonly listen: (socket: InheritedSocket) => Promise<unknown>;
  private readonly closeDescriptor: (fd: number) => void;

  /** @param listen accepts from a socket from now on; it then belongs to the listener. */
  constructor(
    sockets: readonly InheritedSocket[],
    listen: (socket: InheritedSocket) => Promise<unknown>,
    closeDescriptor: (fd: number) => void = closeSync,
  ) {
    this.unused = new Set(sockets);
    for (const { addressIndex } of sockets) this.counts.set(addressIndex, (this.counts.get(addressIndex) ?? 0) + 1);
    this.listen = listen;
    this.closeDescriptor = closeDescriptor;
  }

  /** Accepts in this place, for every address, in addition to the current ones. */
  async accept({ index, workers }: WorkerPlace): Promise<void> {
    for (const socket of [...this.unused]) {
      const shares = sharesOf(index, workers, this.counts.get(socket.addressIndex) ?? 1);
      if (!shares.includes(socket.share) || !this.unused.has(socket)) continue;
      this.unused.delete(socket);
      await this.listen(socket);
    }
  }

  /**
   * Closes the others: while any process has a socket open, the kernel queues connections for it.
   * @param kept where they stay open.
   */
  closeUnused(kept: readonly ListenPlace[] = []): void {
    for (const socket of this.unused) {
      if (kept.includes(placeOf(socket))) continue;
      this.closeDescriptor(socket.fd);
      this.unused.delete(socket);
    }
  }
}
