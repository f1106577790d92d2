import type { Server, Socket } from 'node:net';
import { listenFailure } from '../base/listen-failure.ts';
import { createAcceptor } from '../sockets/accept.ts';
import { PlainSocket } from '../sockets/plain-socket.ts';
import { readProxyHeader } from '../sockets/proxy-protocol-accept.ts';
import { StreamSocket } from '../sockets/stream-socket.ts';
import { peerAddress, socketOn, type TcpHandle, takeHandle } from '../sockets/tcp-handle.ts';
import type { TlsListener } from '../tls/tls-listener.ts';
import { BackendPools } from './backend/pool.ts';
import type { DataPlaneParts, ListenerTraits, ProxyContext } from './context.ts';
import { Counters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import { ClientConnection } from './server/http1-connection.ts';
import { Tunnels } from './tunnel/tunnels.ts';

const tickMs = 250;
const backlog = 4096;

export interface ListenOptions extends ListenerTraits {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Given where `secure` is. */
  readonly tls?: TlsListener;
  /** A descriptor bound to them already, which this process has inherited. Default: binds itself. */
  readonly fd?: number;
}

export interface DrainOptions {
  /** Time over which tunnels are told to end, and after which those left are ended. */
  readonly forMs: number;
  /** Time after which requests under way are ended; Infinity for never. Default `forMs`. */
  readonly requestsForMs?: number;
  /** What tunnels are told (RFC 6455 section 7.4.1): 1001 where the instance goes away, 1012 where it serves on. */
  readonly closeCode: 1001 | 1012;
}

/** The data plane of one worker: its listeners and everything that goes on behind them. */
export class DataPlane {
  readonly counters = new Counters();
  private readonly context: ProxyContext;
  private readonly servers: Server[] = [];
  private readonly connections = new Set<ClientConnection>();
  private readonly timer: NodeJS.Timeout;
  /** Accepted, but the PROXY header that comes before TLS has not come. */
  private readonly headless = new Set<Socket>();
  private readonly whenIdle: (() => void)[] = [];
  /** Of a drain: what ends those that take too long. */
  private endings: (NodeJS.Timeout | undefined)[] = [];
  private endedByItself = true;

  constructor(parts: DataPlaneParts) {
    this.context = {
      ...parts,
      pools: new BackendPools(),
      deadlines: new Deadlines(parts.clock.monotonicMs()),
      tunnels: new Tunnels(),
      counters: this.counters,
      draining: false,
    };
    this.timer = setInterval(() => this.tick(), tickMs);
  }

  /**
   * Listens; resolves with the port once connections are accepted.
   * @throws HipacheError LISTEN_FAILED.
   */
  listen(at: ListenOptions): Promise<number> {
    const server = createAcceptor((handle) => this.accept(handle, at));
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(listenFailure(at.address, at.port, error.code ?? error.message)),
      );
      const place = at.fd === undefined ? { host: at.address, port: at.port } : { fd: at.fd };
      // As an argument of its own: as an option it is only heeded where there is no descriptor.
      server.listen(place, backlog, () => {
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
   * Accepts nothing more, lets what is under way end in the time it is given, then ends it. Called again, it gives
   * other times.
   * @returns whether everything ended by itself.
   */
  async drain({ forMs, requestsForMs = forMs, closeCode }: DrainOptions): Promise<boolean> {
    const { clock, tunnels } = this.context;
    this.context.draining = true;
    for (const server of this.servers) server.close();
    for (const socket of this.headless) socket.destroy();
    tunnels.drain(clock.monotonicMs(), forMs, closeCode);
    if (this.endings.length === 0) for (const connection of this.connections) connection.drain();
    for (const timer of this.endings) clearTimeout(timer);
    this.endings = [
      setLater(forMs, () => this.end(tunnels.size, () => tunnels.destroy())),
      setLater(requestsForMs, () => this.end(this.connections.size, () => this.destroyConnections())),
    ];
    await new Promise<void>((resolve) => {
      this.whenIdle.push(resolve);
      tunnels.onEmpty = () => this.lookIfIdle();
      this.lookIfIdle();
    });
    this.close();
    return this.endedByItself;
  }

  /** Ends everything at once. */
  close(): void {
    this.context.draining = true;
    clearInterval(this.timer);
    for (const timer of this.endings) clearTimeout(timer);
    for (const server of this.servers) server.close();
    for (const socket of this.headless) socket.destroy();
    const { tunnels } = this.context;
    this.end(tunnels.size, () => tunnels.destroy());
    this.end(this.connections.size, () => this.destroyConnections());
    this.context.pools.closeIdle();
  }

  /** The connections to backends. */
  get pools(): BackendPools {
    return this.context.pools;
  }

  private tick(): void {
    const { clock, deadlines, onProblem } = this.context;
    deadlines.tick(clock.monotonicMs(), (error) => onProblem('internal error at a deadline', error));
  }

  private accept(handle: TcpHandle, at: ListenOptions): void {
    const { context, counters, headless } = this;
    if (this.connections.size + context.tunnels.size + headless.size >= context.settings.connectionsMax) {
      counters.clientConnectionsRefused++;
      handle.close();
      return;
    }
    const from = peerAddress(handle);
    if (at.tls === undefined || !at.proxyProtocol) {
      this.serve(handle, at, from);
      return;
    }
    const socket = socketOn(handle);
    headless.add(socket);
    readProxyHeader(socket, context.settings.headTimeoutMs, (address) => {
      headless.delete(socket);
      if (address === null) return;
      // What has been read behind the header can only be handed on by the socket that read it.
      const rest = socket.readableLength === 0 ? takeHandle(socket) : null;
      this.serve(rest ?? socket, at, address === '' ? from : address);
    });
  }

  /** @param accepted a socket only where TLS is spoken and bytes of it have been read. */
  private serve(accepted: TcpHandle | Socket, at: ListenOptions, address: string): void {
    const { context, counters } = this;
    const { writeBufferBytesMax } = context.settings;
    counters.clientConnections++;
    counters.clientConnectionsOpen++;
    const connection = new ClientConnection(context, at, this.forget);
    this.connections.add(connection);
    connection.attach(
      at.tls === undefined
        ? PlainSocket.accepted(accepted as TcpHandle, connection, writeBufferBytesMax)
        : StreamSocket.acceptedTls(accepted, connection, writeBufferBytesMax, at.tls),
      address,
    );
  }

  private readonly forget = (connection: ClientConnection): void => {
    if (!this.connections.delete(connection)) return;
    this.counters.clientConnectionsOpen--;
    this.lookIfIdle();
  };

  private lookIfIdle(): void {
    if (this.connections.size > 0 || this.context.tunnels.size > 0) return;
    for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  /** Ends what is left of a kind; then not everything has ended by itself. */
  private end(count: number, destroy: () => void): void {
    if (count === 0) return;
    this.endedByItself = false;
    destroy();
  }

  private destroyConnections(): void {
    for (const connection of this.connections) connection.destroy();
  }
}

function setLater(delayMs: number, action: () => void): NodeJS.Timeout | undefined {
  return Number.isFinite(delayMs) ? setTimeout(action, delayMs) : undefined;
}
