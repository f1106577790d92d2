import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/** Names of the locks of this process. One address may be configured twice, by its name and its number. */
const held = new Set<string>();

/**
 * Keeps other instances of Hipache from an address that is bound and on which nobody listens yet: the kernel would let
 * them bind it as well. It is a Unix socket in Linux's abstract namespace. Like the port, its name belongs to the network
 * namespace, and it vanishes with the process. Other systems have no such names, and no locks.
 *
 * Any user may take such a name, also for a port that only root may bind. Root therefore ignores a lock of another user,
 * which could not share the address anyway.
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
        const isHeld = code === 'EADDRINUSE' && !isOfAnotherUser(name);
        resolve(isHeld ? null : new AddressLock(name, null));
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

/** Whether this process is root, and the one with this name is not. */
function isOfAnotherUser(name: string): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    const line = readFileSync('/proc/net/unix', 'latin1')
      .split('\n')
      .find((text) => text.endsWith(` @${name.slice(1)}`));
    const inode = line?.split(/\s+/).at(-2);
    // A process that was root keeps its directory there as root's.
    const holder = readdirSync('/proc').find((pid) => /^\d/.test(pid) && holds(pid, `socket:[${inode}]`));
    return holder !== undefined && statSync(`/proc/${holder}`).uid !== 0;
  } catch {
    return false;
  }
}

function holds(pid: string, socket: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === socket);
  } catch {
    // It has ended, or has closed a descriptor meanwhile.
    return false;
  }
}
