import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { HipacheProcess } from './hipache.ts';
import { RawClient } from './raw-client.ts';
import { until } from './until.ts';
import { workerPids } from './workers.ts';

/** Connections that are made at once: to find their workers takes a look at all connections of the machine. */
const atOnce = 32;

/** Makes connections to the workers of an instance. The kernel chooses one for each: those to others wait for their turn. */
export class WorkerConnections {
  readonly workers: readonly number[];
  private readonly port: number;
  private readonly unused = new Map<number, RawClient[]>();
  private making: Promise<void> | null = null;

  constructor(proxy: HipacheProcess) {
    this.workers = workerPids(proxy.pid);
    this.port = proxy.port;
    for (const pid of this.workers) this.unused.set(pid, []);
  }

  /** A connection to a worker that no request has been sent on, or none that is in progress. */
  async connect(worker: number): Promise<RawClient> {
    for (;;) {
      const client = this.unused.get(worker)?.pop();
      if (client === undefined) await this.make();
      else if (!client.ended && !client.closed) {
        client.received = '';
        return client;
      }
    }
  }

  /** Takes a connection back whose requests have been answered. */
  giveBack(worker: number, client: RawClient): void {
    this.unused.get(worker)?.push(client);
  }

  close(): void {
    for (const client of [...this.unused.values()].flat()) client.close();
  }

  private make(): Promise<void> {
    this.making ??= this.makeSome().finally(() => {
      this.making = null;
    });
    return this.making;
  }

  private async makeSome(): Promise<void> {
    const clients = await Promise.all(Array.from({ length: atOnce }, () => RawClient.connect(this.port)));
    let owners: readonly (number | undefined)[] = [];
    await until('the workers to accept', () => {
      owners = this.ownersOf(clients);
      return !owners.includes(undefined);
    });
    for (const [i, client] of clients.entries()) this.unused.get(owners[i] as number)?.push(client);
  }

  /** The workers that hold the other ends; undefined before they have accepted. */
  private ownersOf(clients: readonly RawClient[]): (number | undefined)[] {
    const owners = new Map(this.workers.flatMap((pid) => socketsOf(pid).map((inode) => [inode, pid])));
    const inodes = new Map<number, string>();
    for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
      const [, local, remote, , , , , , , inode = ''] = line.trim().split(/\s+/);
      if (portOf(local) === this.port) inodes.set(portOf(remote), inode);
    }
    return clients.map(({ socket }) => owners.get(inodes.get(socket.localPort ?? 0) ?? ''));
  }
}

function portOf(address = ''): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}
