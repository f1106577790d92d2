import { listenFailure } from '../base/listen-failure.ts';
import { createAcceptor } from '../sockets/accept.ts';
import type { TcpHandle } from '../sockets/tcp-handle.ts';
import type { TlsListener } from '../tls/tls-listener.ts';
import { Activity } from './activity.ts';
import { Origins } from './backend/origins.ts';
import { BackendDrains } from './backend-drains.ts';
import { ConnectionBudget } from './connection-budget.ts';
import type { DataPlaneParts, ProxyContext } from './context.ts';
import { Counters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import { HostPages } from './host-pages.ts';
import { Listeners } from './listeners.ts';
import { RefusalQueue } from './refusal-queue.ts';
import { ServerConnections } from './server/connections.ts';
import { type ListenerTraits, listenerTraits } from './server/listener-traits.ts';
import { negotiate } from './server/negotiation.ts';
import { Tunnels } from './tunnel/tunnels.ts';

const tickMs = 250;
const backlog = 4096;
const descriptorsExhausted =
  'clients are refused, because all descriptors are in use; the limit of the process (ulimit -n, LimitNOFILE) raises their number';

export interface ListenOptions {
  readonly address: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Whether every connection begins with a PROXY protocol header; with TLS, it precedes the handshake. */
  readonly proxyProtocol: boolean;
  /** Whether a client that has only closed its sending side still gets its response. Default false. */
  readonly halfClose?: boolean;
  /** Those that clients may speak, by their names in ALPN (RFC 7301), the preferred one first. Default: HTTP/1.1. */
  readonly protocols?: readonly string[];
  /** Default: plain connections. */
  readonly tls?: TlsListener;
  /** An inherited descriptor that is bound to this address and port. Default: binds a new one. */
  readonly fd?: number;
}

export interface DrainOptions {
  /** In ms: tunnels get their Close within this time; those still open after it are ended. */
  readonly forMs: number;
  /** Requests still in progress after this time are ended; in ms, Infinity for never. Default `forMs`. */
  readonly requestsForMs?: number;
  /** Code of that Close (RFC 6455 section 7.4.1): 1001 if the instance stops, 1012 if it continues to serve. */
  readonly closeCode: 1001 | 1012;
}

/** One worker's data plane: its listeners and their connections. */
export class DataPlane {
  readonly counters = new Counters();
  private readonly onProblem: DataPlaneParts['onProblem'];
  private readonly context: ProxyContext;
  private readonly listeners = new Listeners();
  private readonly connections: ServerConnections;
  readonly drains: BackendDrains;
  private readonly budget: ConnectionBudget;
  private readonly timer: NodeJS.Timeout;
  private readonly whenIdle: (() => void)[] = [];
  /** During a drain: the timers that end what takes too long. */
  private endings: (NodeJS.Timeout | undefined)[] = [];
  private endedByItself = true;
  private closed = false;

  constructor(parts: DataPlaneParts) {
    this.onProblem = parts.onProblem;
    const tunnels = new Tunnels();
    this.context = {
      ...parts,
      origins: new Origins(),
      deadlines: new Deadlines(parts.clock.monotonicMs()),
      tunnels,
      hostPages: new HostPages(parts),
      activity: new Activity(tunnels, parts.onUsed),
      rooms: { count: 0 },
      refusals: new RefusalQueue(),
      counters: this.counters,
      onInternalError: (where, error) => this.onInternalError(where, error),
      makeRoom: () => this.makeRoom(),
      draining: false,
    };
    const { origins, settings } = this.context;
    this.connections = new ServerConnections(this.counters, () => this.lookIfIdle());
    this.drains = new BackendDrains(this.context, this.connections);
    this.budget = new ConnectionBudget(settings.descriptorsMax, this.counters, this.connections, origins);
    this.timer = setInterval(() => this.tick(), tickMs);
  }

  /** Counts and logs an error of this program, which has ended what it concerned. @param where `a client connection`. */
  onInternalError(where: string, error: Error): void {
    this.counters.internalErrors++;
    this.onProblem(`internal error in ${where}`, error);
  }

  /**
   * Listens; resolves with the port once connections are accepted.
   * @throws HipacheError LISTEN_FAILED.
   */
  listen(at: ListenOptions): Promise<number> {
    const traits = listenerTraits(at);
    let onAccepted = (): void => {};
    const server = createAcceptor((handle) => {
      onAccepted();
      this.accept(handle, traits);
    });
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(listenFailure(at.address, at.port, error.code ?? error.message)),
      );
      const where = at.fd === undefined ? { host: at.address, port: at.port } : { fd: at.fd };
      // The backlog is a separate argument because, as an option, Node ignores it for descriptors.
      server.listen(where, backlog, () => {
        // Accepting can fail later as well, if descriptors run out. The listener continues.
        server.removeAllListeners('error');
        server.on('error', (error) => {
          this.counters.acceptErrors++;
          this.context.onProblem('cannot accept a connection', error);
        });
        onAccepted = this.listeners.add(server);
        const bound = server.address();
        resolve(typeof bound === 'object' && bound !== null ? bound.port : at.port);
      });
    });
  }

  /**
   * Accepts the connections that have already been made, and no more. Lets exchanges and tunnels end within the given
   * times, then ends the rest. A further call changes the times.
   * @returns whether everything ended by itself.
   */
  async drain({ forMs, requestsForMs = forMs, closeCode }: DrainOptions): Promise<boolean> {
    const { clock, tunnels } = this.context;
    this.context.draining = true;
    const stopped = this.listeners.stop();
    tunnels.drain(clock.monotonicMs(), forMs, closeCode);
    this.connections.drain();
    await stopped;
    if (this.closed) return this.endedByItself;
    // Those that came last as well.
    this.connections.drain();
    for (const timer of this.endings) clearTimeout(timer);
    this.endings = [
      setLater(forMs, () => this.end(tunnels.size, () => tunnels.destroy())),
      setLater(requestsForMs, () => this.end(this.connections.size, () => this.connections.destroy())),
    ];
    await new Promise<void>((resolve) => {
      this.whenIdle.push(resolve);
      tunnels.onEmpty = () => this.lookIfIdle();
      this.lookIfIdle();
    });
    this.close();
    return this.endedByItself;
  }

  /** Ends all connections at once. */
  close(): void {
    this.closed = true;
    this.context.draining = true;
    clearInterval(this.timer);
    for (const timer of this.endings) clearTimeout(timer);
    this.listeners.close();
    const { tunnels } = this.context;
    this.end(tunnels.size, () => tunnels.destroy());
    this.end(this.connections.size, () => this.connections.destroy());
    this.context.origins.closeIdle();
  }

  /** Whether one more connection can be opened: see `ConnectionBudget`. */
  makeRoom(): boolean {
    return this.budget.makeRoom();
  }

  /** The connections to backends. */
  get origins(): Origins {
    return this.context.origins;
  }

  private tick(): void {
    const { activity, clock, deadlines, onInternalError } = this.context;
    this.drains.tick();
    activity.tick(this.context);
    deadlines.tick(clock.monotonicMs(), (error) => onInternalError('a deadline', error));
  }

  private accept(handle: TcpHandle, traits: ListenerTraits): void {
    const { connections, context } = this;
    const { connectionsMax, descriptorsMax } = context.settings;
    const isFull = connections.size + context.tunnels.size >= connectionsMax;
    if (isFull || !this.budget.makeRoom()) {
      if (isFull)
        context.onWarning('clients are refused; limits.connectionsMax raises their number', { connectionsMax });
      else context.onWarning(descriptorsExhausted, { connections: descriptorsMax });
      this.counters.clientConnectionsRefused++;
      handle.close();
      return;
    }
    negotiate(handle, traits, connections, context);
  }

  private lookIfIdle(): void {
    if (this.connections.size > 0 || this.context.tunnels.size > 0) return;
    for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  /** Ends the remaining connections or tunnels; if there are any, not everything ended by itself. */
  private end(count: number, destroy: () => void): void {
    if (count === 0) return;
    this.endedByItself = false;
    destroy();
  }
}

function setLater(delayMs: number, action: () => void): NodeJS.Timeout | undefined {
  return Number.isFinite(delayMs) ? setTimeout(action, delayMs) : undefined;
}
