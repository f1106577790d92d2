import type { ErrorCode } from '../../base/errors.ts';
import type { Backend } from '../../routing/backend.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { BackendConnection } from './http1-connection.ts';

/** Who asks for a connection. Exactly one of the two is called, at once or later, unless `cancel` comes first. */
export interface ConnectionWaiter {
  onConnection(connection: BackendConnection): void;
  onNoConnection(code: ErrorCode, detail: string): void;
}

/** TLS sessions kept of backends without a connection, some 2 KB each. */
const tlsSessionsMax = 1000;

/** The connections of this worker to one address. */
export class BackendPool {
  readonly address: string;
  readonly hostname: string;
  readonly port: number;
  /** The name for TLS; null where the backend is spoken to without. */
  readonly tlsName: string | null;
  /** The last TLS session that the backend gave, to be resumed; null for none. */
  tlsSession: Buffer | null = null;
  /** It had no connection left, and another one has its address now. */
  isForgotten = false;
  private readonly context: ProxyContext;
  private readonly onEmpty: (pool: BackendPool) => void;
  /** Last in, first out: what is used stays warm, what is not runs into its idle limit. */
  private readonly idle: BackendConnection[] = [];
  private readonly connecting: BackendConnection[] = [];
  private readonly queue: QueuedRequest[] = [];
  /** Connections that are being made, idle, or in use. */
  private open = 0;

  constructor(backend: Backend, context: ProxyContext, onEmpty: (pool: BackendPool) => void) {
    this.address = backend.address;
    this.hostname = backend.hostname;
    this.port = backend.port;
    this.tlsName = backend.tlsName;
    this.context = context;
    this.onEmpty = onEmpty;
  }

  /**
   * Gives the waiter a connection: an idle one, a new one, or, past the limit, the next to become free.
   * @param unusedMsMax an idle connection is given only if it was used within this time; 0 for a new one in any case.
   */
  take(waiter: ConnectionWaiter, unusedMsMax: number): void {
    const { idle, context } = this;
    if (unusedMsMax > 0) {
      let connection = idle.pop();
      // One that the backend has just ended is here until its socket is closed.
      while (connection?.isClosed) connection = idle.pop();
      if (connection !== undefined) {
        if (context.clock.monotonicMs() - connection.idleSinceMs <= unusedMsMax) {
          waiter.onConnection(connection);
          return;
        }
        idle.push(connection);
      }
    }
    if (this.open < context.settings.backendConnectionsMax) {
      this.connect(waiter);
      return;
    }
    const oldest = idle.shift();
    if (oldest !== undefined) {
      // All are open and one is unused, but too old to be trusted with this request: it makes room.
      this.connect(waiter);
      oldest.destroy();
      return;
    }
    if (this.queue.length >= context.settings.queueMax) {
      waiter.onNoConnection('BACKEND_QUEUE_FULL', `${this.queue.length} requests wait for ${this.address}`);
      return;
    }
    const deadlineMs = context.clock.monotonicMs() + context.settings.queueTimeoutMs;
    this.queue.push(new QueuedRequest(this, waiter, deadlineMs, context));
  }

  /** The waiter is gone. A connection that is being made for it goes on, for the next one. */
  cancel(waiter: ConnectionWaiter): void {
    const at = this.queue.findIndex((waiting) => waiting.waiter === waiter);
    if (at >= 0) this.leaveQueue(at);
    else for (const connection of this.connecting) connection.release(waiter);
  }

  /** A connection is there, whoever gets it. */
  connected(connection: BackendConnection): void {
    const at = this.connecting.indexOf(connection);
    if (at >= 0) this.connecting.splice(at, 1);
  }

  /** The connection has ended an exchange cleanly, or was made for nobody: the next in the queue, or idle. */
  giveBack(connection: BackendConnection): void {
    connection.reused = true;
    const next = this.leaveQueue(0);
    if (next !== null) {
      next.waiter.onConnection(connection);
      return;
    }
    connection.becomeIdle();
    this.idle.push(connection);
  }

  /** The connection is closed, or about to be, in whatever state; told once. */
  closed(connection: BackendConnection): void {
    this.open--;
    this.connected(connection);
    const at = this.idle.lastIndexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    const next = this.open < this.context.settings.backendConnectionsMax ? this.leaveQueue(0) : null;
    if (next !== null) {
      this.connect(next.waiter);
    } else if (this.open === 0 && this.queue.length === 0) {
      this.onEmpty(this);
    }
  }

  closeIdle(): void {
    for (const connection of this.idle.slice()) connection.destroy();
  }

  get openConnections(): number {
    return this.open;
  }

  get waitingRequests(): number {
    return this.queue.length;
  }

  /** @internal */
  waitedTooLong(waiting: QueuedRequest): void {
    const at = this.queue.indexOf(waiting);
    if (at < 0) return;
    this.leaveQueue(at);
    waiting.waiter.onNoConnection('BACKEND_QUEUE_TIMEOUT', `no connection to ${this.address} became free`);
  }

  private connect(waiter: ConnectionWaiter): void {
    this.open++;
    this.connecting.push(BackendConnection.open(this, waiter, this.context));
  }

  private leaveQueue(at: number): QueuedRequest | null {
    const [waiting] = this.queue.length === 0 ? [] : this.queue.splice(at, 1);
    if (waiting === undefined) return null;
    this.context.deadlines.remove(waiting);
    return waiting;
  }
}

/** A request in the queue of a pool. */
class QueuedRequest implements Timed {
  readonly waiter: ConnectionWaiter;
  deadlineMs: number;
  deadlineSlot = -1;
  private readonly pool: BackendPool;

  constructor(pool: BackendPool, waiter: ConnectionWaiter, deadlineMs: number, context: ProxyContext) {
    this.pool = pool;
    this.waiter = waiter;
    this.deadlineMs = deadlineMs;
    context.deadlines.add(this);
  }

  onDeadline(): void {
    this.pool.waitedTooLong(this);
  }
}

/** The pools of this worker, by address: hosts that share a backend share its connections. */
export class BackendPools {
  private readonly pools = new Map<string, BackendPool>();
  /** TLS sessions of backends that have no connection now, to be resumed by their next one. */
  private readonly tlsSessions = new Map<string, Buffer>();
  private readonly forget = (pool: BackendPool): void => {
    this.pools.delete(pool.address);
    pool.isForgotten = true;
    this.keepSession(pool);
  };

  of(backend: Backend, context: ProxyContext): BackendPool {
    const { attachment } = backend;
    if (attachment instanceof BackendPool && !attachment.isForgotten) return attachment;
    let pool = this.pools.get(backend.address);
    if (pool === undefined) {
      pool = new BackendPool(backend, context, this.forget);
      pool.tlsSession = this.tlsSessions.get(backend.address) ?? null;
      this.pools.set(backend.address, pool);
    }
    backend.attachment = pool;
    return pool;
  }

  private keepSession({ address, tlsName, tlsSession }: BackendPool): void {
    if (tlsName === null) return;
    this.tlsSessions.delete(address);
    if (tlsSession === null) return;
    this.tlsSessions.set(address, tlsSession);
    if (this.tlsSessions.size <= tlsSessionsMax) return;
    const oldest = this.tlsSessions.keys().next();
    if (!oldest.done) this.tlsSessions.delete(oldest.value);
  }

  closeIdle(): void {
    for (const pool of this.pools.values()) pool.closeIdle();
  }

  get size(): number {
    return this.pools.size;
  }

  /** Requests that wait for a connection, of all pools. */
  get waitingRequests(): number {
    let count = 0;
    for (const pool of this.pools.values()) count += pool.waitingRequests;
    return count;
  }
}
