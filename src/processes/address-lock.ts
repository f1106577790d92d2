import { createServer, type Server } from 'node:net';

/** Names of the locks of this process. One address may be configured twice, by its name and its number. */
const held = new Set<string>();

/**
 * Keeps other instances of Hipache from an address that is bound and on which nobody listens yet: the kernel would let
 * them bind it as well. It is a Unix socket in Linux's abstract namespace. Like the port, its name belongs to the network
 * namespace, and it vanishes with the process. Other systems have no such names, and no locks.
 */
export class AddressLock {
  private readonly name: string;
  /** Null: there is nothing to release. */
  private server: Server | null;

  private constructor(name: string, server: Server | null) {
    this.name = name;
    this.server = server;
  }

  /**
   * @param ip as the kernel writes it.
   * @returns null if another process holds the lock.
   */
  static take(ip: string, port: number): Promise<AddressLock | null> {
    const name = `\0hipache-listen:${ip}:${port}`;
    if (held.has(name)) return Promise.resolve(new AddressLock(name, null));
    const server = createServer((socket) => socket.destroy());
    return new Promise((resolve) => {
      server.once('error', ({ code }: NodeJS.ErrnoException) => {
        resolve(code === 'EADDRINUSE' ? null : new AddressLock(name, null));
      });
      server.listen(name, () => {
        server.unref();
        held.add(name);
        resolve(new AddressLock(name, server));
      });
    });
  }

  release(): void {
    if (this.server === null) return;
    this.server.close();
    this.server = null;
    held.delete(this.name);
  }
}
