import { invariant } from '../../base/invariant.ts';
import type { Backend } from '../../routing/backend.ts';
import type { Freshness, Origin, StreamWaiter } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { BackendAddresses } from './addresses.ts';
import { Dial } from './dial.ts';
import type { Http1BackendConnection } from './http1-connection.ts';

/** A backend that ends kept connections sooner than this, in ms, without an announcement, may do so at any moment. */
const keptMsMin = 2000;
/** The longest time, in ms, that a kept connection may have been idle to get a request that cannot be sent again. */
const provenIdleMsMax = 1000;
/** How long a backend counts as one that does, in ms, from the last time. */
const hastyMs = 60_000;

/** This worker's HTTP/1.1 connections to one address. */
export class Http1Pool implements Origin {
  readonly address: string;
  readonly hostname: string;
  readonly port: number;
  /** The server name for TLS; null for plain connections. */
  readonly tlsName: string | null;
  /** The latest TLS session from the backend, for resumption; null for none. */
  tlsSession: Buffer | null = null;
  /** Monotonic ms until which the backend counts as one that ends kept connections at any moment. */
  hastyUntilMs = 0;
  /** `Origins` dropped this pool when its last connection closed: another one may have its address by now. */
  isForgotten = false;
  readonly addresses: BackendAddresses;
  private readonly context: ProxyContext;
  private readonly onEmpty: (pool: Http1Pool) => void;
  /** Last in, first out: the connections in use stay warm, and the others reach their idle limit. */
  private readonly idle: Http1BackendConnection[] = [];
  /** Idle connections that belong to a client connection, longest idle first. They are not for others. */
  private readonly bound: Http1BackendConnection[] = [];
  private readonly dials: Dial[] = [];
  private readonly queue: QueuedRequest[] = [];
  /** Connections that are dialing, idle or in use. */
  private open = 0;

  constructor(backend: Backend, context: ProxyContext, onEmpty: (pool: Http1Pool) => void) {
    this.address = backend.address;
    this.hostname = backend.hostname;
    this.port = backend.port;
    this.tlsName = backend.tlsName;
    this.context = context;
    this.onEmpty = onEmpty;
    this.addresses = new BackendAddresses(backend.hostname, context.resolver, context.clock, () => this.retire());
  }

  acquire(waiter: StreamWaiter, freshness: Freshness): void {
    const { idle, context } = this;
    const kept = this.takeIdle(freshness);
    if (kept !== null) {
      waiter.onStream(kept);
      return;
    }
    if (this.open < context.settings.backendConnectionsMax) {
      this.connect(waiter);
      return;
    }
    // One that is too old to be trusted with this request; or a client that is idle has to authenticate again.
    const oldest = idle.shift() ?? this.bound.shift();
    if (oldest !== undefined) {
      this.replace(oldest, waiter);
      return;
    }
    if (this.queue.length >= context.settings.queueMax) {
      waiter.onNoStream('BACKEND_QUEUE_FULL', `${this.queue.length} requests wait for ${this.address}`);
      return;
    }
    const deadlineMs = context.clock.monotonicMs() + context.settings.queueTimeoutMs;
    this.queue.push(new QueuedRequest(this, waiter, freshness, deadlineMs, context));
  }

  cancel(waiter: StreamWaiter): void {
    const at = this.queue.findIndex((waiting) => waiting.waiter === waiter);
    if (at >= 0) this.leaveQueue(at);
    else for (const dial of this.dials) dial.release(waiter);
  }

  /** The dial has succeeded. */
  connected(dial: Dial): void {
    const at = this.dials.indexOf(dial);
    if (at >= 0) this.dials.splice(at, 1);
  }

  /** The dial has failed, or is given up. Called once for each. */
  dialFailed(dial: Dial): void {
    this.connected(dial);
    this.placeFreed();
  }

  /**
   * The connection has ended an exchange cleanly, or its waiter has gone: it serves the next in the queue, or turns
   * idle.
   */
  giveBack(connection: Http1BackendConnection): void {
    invariant(!connection.isClosed, 'only an open connection goes back to its pool');
    connection.reused = true;
    const next = this.leaveQueue(0);
    if (next !== null) {
      if (this.mayServe(next.freshness, 0)) next.waiter.onStream(connection);
      else this.replace(connection, next.waiter);
      return;
    }
    connection.becomeIdle();
    this.idle.push(connection);
  }

  /** The connection has ended an exchange cleanly, and waits for the next of the same client. */
  staysBound(connection: Http1BackendConnection): void {
    const next = this.leaveQueue(0);
    this.bound.push(connection);
    if (next === null) return;
    this.connect(next.waiter);
    this.bound.shift()?.destroy();
  }

  /** A bound connection gets its next request. */
  leavesBound(connection: Http1BackendConnection): void {
    const at = this.bound.indexOf(connection);
    if (at >= 0) this.bound.splice(at, 1);
  }

  /** The backend has ended a connection that was kept, after `idleMs`, without having announced it. */
  endedByBackend(idleMs: number): void {
    if (idleMs < keptMsMin) this.hastyUntilMs = this.context.clock.monotonicMs() + hastyMs;
  }

  /** The connection, in any state, has closed or is about to. Called once for each. */
  closed(connection: Http1BackendConnection): void {
    const at = this.idle.lastIndexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    this.leavesBound(connection);
    this.placeFreed();
  }

  /** Monotonic ms since when its longest idle connection has been idle; Infinity if none is. */
  get idleSinceMs(): number {
    return (this.idle[0] ?? this.bound[0])?.idleSinceMs ?? Number.POSITIVE_INFINITY;
  }

  /** @returns whether there was one. */
  closeOldestIdle(): boolean {
    const oldest = this.idle.shift() ?? this.bound.shift();
    oldest?.destroy();
    return oldest !== undefined;
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

  /** The name has other addresses now. Connections in use end after their request, and tunnels stay. */
  private retire(): void {
    for (const connection of [...this.idle, ...this.bound]) {
      if (!this.addresses.includes(connection.address)) connection.destroy();
    }
  }

  /** @internal */
  waitedTooLong(waiting: QueuedRequest): void {
    const at = this.queue.indexOf(waiting);
    if (at < 0) return;
    this.leaveQueue(at);
    waiting.waiter.onNoStream('BACKEND_QUEUE_TIMEOUT', `no connection to ${this.address} became free`);
  }

  /** The idle connection that was in use last, if it may serve such a request; null if there is none. */
  private takeIdle(freshness: Freshness): Http1BackendConnection | null {
    const { idle } = this;
    if (freshness === 'new') return null;
    let connection = idle.pop();
    // A connection that the backend has just ended stays here until its socket has closed.
    while (connection?.isClosed) connection = idle.pop();
    if (connection === undefined) return null;
    if (freshness === 'any') return connection;
    if (this.mayServe(freshness, this.context.clock.monotonicMs() - connection.idleSinceMs)) return connection;
    idle.push(connection);
    return null;
  }

  private mayServe(freshness: Freshness, idleMs: number): boolean {
    if (freshness !== 'proven') return freshness === 'any';
    return idleMs <= provenIdleMsMax && this.context.clock.monotonicMs() >= this.hastyUntilMs;
  }

  /** Makes a new connection in the place of a kept one, which must not go to another request meanwhile. */
  private replace(connection: Http1BackendConnection, waiter: StreamWaiter): void {
    this.open++;
    connection.destroy();
    this.open--;
    this.connect(waiter);
  }

  private connect(waiter: StreamWaiter): void {
    for (let next: StreamWaiter | null = waiter; next !== null; ) {
      // Counted first: to make room, an idle connection of this pool may close, and the pool must not seem empty.
      this.open++;
      if (this.context.makeRoom()) {
        const dial = new Dial(this, next, this.context);
        this.dials.push(dial);
        dial.start();
        return;
      }
      this.open--;
      next.onNoStream('OVERLOADED', 'this process has no descriptor left');
      // Without any connection, none will become free for those who wait.
      next = this.open === 0 ? (this.leaveQueue(0)?.waiter ?? null) : null;
    }
    this.checkEmpty();
  }

  private placeFreed(): void {
    this.open--;
    invariant(this.open >= 0, 'a pool counts each connection once');
    const next = this.open < this.context.settings.backendConnectionsMax ? this.leaveQueue(0) : null;
    if (next === null) this.checkEmpty();
    else this.connect(next.waiter);
  }

  private checkEmpty(): void {
    if (this.open > 0 || this.queue.length > 0 || this.isForgotten) return;
    this.addresses.close();
    this.onEmpty(this);
  }

  private leaveQueue(at: number): QueuedRequest | null {
    const [waiting] = this.queue.length === 0 ? [] : this.queue.splice(at, 1);
    if (waiting === undefined) return null;
    this.context.deadlines.remove(waiting);
    return waiting;
  }
}

/** A request queued for a connection. */
class QueuedRequest implements Timed {
  readonly waiter: StreamWaiter;
  readonly freshness: Freshness;
  deadlineMs: number;
  deadlineSlot = -1;
  private readonly pool: Http1Pool;

  constructor(pool: Http1Pool, waiter: StreamWaiter, freshness: Freshness, deadlineMs: number, context: ProxyContext) {
    this.pool = pool;
    this.waiter = waiter;
    this.freshness = freshness;
    this.deadlineMs = deadlineMs;
    context.deadlines.add(this);
  }

  onDeadline(): void {
    this.pool.waitedTooLong(this);
  }

  destroy(): void {
    this.pool.cancel(this.waiter);
  }
}
