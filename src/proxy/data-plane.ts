import { createServer, type Server, type Socket } from 'node:net';
import { HipacheError } from '../base/errors.ts';
import { BackendPools } from './backend-pool.ts';
import { ByteSocket } from './byte-socket.ts';
import { ClientConnection, type ListenerTraits } from './client-connection.ts';
import type { DataPlaneParts, ProxyContext } from './context.ts';
import { Counters } from './counters.ts';
import { Deadlines } from './deadlines.ts';

const tickMs = 250;
const backlog = 4096;

export interface ListenAddress extends ListenerTraits {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
}

/** The data plane of one worker: its listeners and everything that goes on behind them. */
export class DataPlane {
  readonly counters = new Counters();
  private readonly context: ProxyContext;
  private readonly servers: Server[] = [];
  private readonly connections = new Set<ClientConnection>();
  private readonly timer: NodeJS.Timeout;
  private onIdle: (() => void) | null = null;

  constructor(parts: DataPlaneParts) {
    this.context = {
      ...parts,
      pools: new BackendPools(),
      deadlines: new Deadlines(),
      counters: this.counters,
      draining: false,
    };
    this.timer = setInterval(() => this.tick(), tickMs);
  }

  /**
   * Listens; resolves with the port once connections are accepted.
   * @throws HipacheError LISTEN_FAILED.
   */
  listen(at: ListenAddress): Promise<number> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
      this.accept(socket, at);
    });
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(at, error)));
      server.listen({ host: at.address, port: at.port, backlog }, () => {
        // Accepting can fail later too, for want of descriptors; the listener goes on.
        server.removeAllListeners('error');
        server.on('error', (error) => {
          this.counters.acceptErrors++;
          this.context.onProblem('a connection could not be accepted', error);
        });
        this.servers.push(server);
        const bound = server.address();
        resolve(typeof bound === 'object' && bound !== null ? bound.port : at.port);
      });
    });
  }

  /**
   * Accepts nothing more, lets what is under way end for up to `forMs`, then ends it.
   * @returns whether everything ended by itself.
   */
  async drain(forMs: number): Promise<boolean> {
    this.context.draining = true;
    for (const server of this.servers) server.close();
    for (const connection of this.connections) connection.drain();
    const done = this.connections.size === 0 || (await this.untilIdle(forMs));
    this.close();
    return done;
  }

  /** Ends everything at once. */
  close(): void {
    this.context.draining = true;
    clearInterval(this.timer);
    for (const server of this.servers) server.close();
    for (const connection of this.connections) connection.destroy();
    this.context.pools.closeIdle();
  }

  private tick(): void {
    const { clock, deadlines, onProblem } = this.context;
    deadlines.tick(clock.monotonicMs(), (error) => onProblem('internal error at a deadline', error));
  }

  private accept(socket: Socket, traits: ListenerTraits): void {
    const { context, counters } = this;
    if (this.connections.size >= context.settings.connectionsMax) {
      counters.clientConnectionsRefused++;
      socket.destroy();
      return;
    }
    counters.clientConnections++;
    counters.clientConnectionsOpen++;
    const connection = new ClientConnection(context, traits, this.forget);
    this.connections.add(connection);
    connection.attach(ByteSocket.accepted(socket, connection, context.settings.writeBufferBytesMax));
  }

  private readonly forget = (connection: ClientConnection): void => {
    if (!this.connections.delete(connection)) return;
    this.counters.clientConnectionsOpen--;
    if (this.connections.size === 0) this.onIdle?.();
  };

  private untilIdle(forMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), forMs);
      this.onIdle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}

function listenError(at: ListenAddress, error: NodeJS.ErrnoException): HipacheError {
  const where = `${at.address}:${at.port}`;
  const hints: Record<string, string> = {
    EADDRINUSE: 'another program listens there; stop it, or set another port',
    EACCES: 'ports below 1024 need root or the capability CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'this machine has no such address',
  };
  const hint = hints[error.code ?? ''] ?? error.message;
  return new HipacheError('LISTEN_FAILED', `cannot listen on ${where}: ${hint}`, { cause: error });
}
