import { connect, type Socket } from 'node:net';
import type { HipacheProcess } from './hipache.ts';
import { socketOwner } from './socket-handler.ts';
import { askOn } from './steady-load.ts';
import { until } from './until.ts';
import { workerPids } from './workers.ts';

/** A kept connection to one worker of a proxy. */
export interface WorkerClient {
  readonly pid: number;
  readonly socket: Socket;
}

/** A client of every worker of a proxy, because workers may differ in what they know or do. */
export class WorkerClients {
  readonly clients: readonly WorkerClient[];

  private constructor(clients: readonly WorkerClient[]) {
    this.clients = clients;
  }

  /** Connects until each running worker has accepted a connection. @param host to request, whatever the response. */
  static async connect(proxy: HipacheProcess, host: string): Promise<WorkerClients> {
    const found = new Map<number, WorkerClient>();
    const pids = workersOf(proxy);
    await until('a connection to each worker', async () => {
      const socket = connect({ host: '127.0.0.1', port: proxy.port, noDelay: true });
      await askOn(socket, host);
      const pid = workerOf(proxy, socket);
      if (pid === null || found.has(pid)) socket.destroy();
      else found.set(pid, { pid, socket });
      return found.size === pids.length;
    });
    return new WorkerClients([...found.values()]);
  }

  /** The body with which each worker responds for a host; the status if it is not 200. */
  async bodies(host: string): Promise<string[]> {
    const responses = await Promise.all(this.clients.map(({ socket }) => askOn(socket, host)));
    return responses.map(
      (response) => /^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n([\s\S]*)$/.exec(response)?.[1] ?? response.slice(0, 12),
    );
  }

  /** Waits until every worker responds with this body. */
  async untilAll(host: string, body: string): Promise<void> {
    let last: string[] = [];
    await until(`${host} to be ${body} in every worker`, async () => {
      last = await this.bodies(host);
      return last.every((one) => one === body);
    }).catch((error: Error) => {
      throw new Error(`${error.message}; the last responses were ${last.join(', ')}`);
    });
  }

  close(): void {
    for (const { socket } of this.clients) socket.destroy();
  }
}

/** The process id of the worker that has accepted a client's connection; null if none has. */
export function workerOf(proxy: HipacheProcess, socket: Socket): number | null {
  return socketOwner(workersOf(proxy), socket.remotePort as number, socket.localPort as number);
}

/** Those of the newest program, after upgrades. */
function workersOf({ pid, primaries }: HipacheProcess): number[] {
  return workerPids(primaries.at(-1) ?? pid);
}
