import { invariant } from '../../base/invariant.ts';
import type { Backend } from '../../routing/backend.ts';
import type { Freshness, Origin, StreamWaiter } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { BackendAddresses } from './addresses.ts';
import { Dial } from './dial.ts';
import type { Http1BackendConnection } from './http1-connection.ts';
import { Http2BackendConnection } from './http2-connection.ts';

/** A backend that ends kept connections sooner than this, in ms, without an announcement, may do so at any moment. */
const keptMsMin = 2000;
/** The longest time, in ms, that a kept connection may have been idle to get a request that cannot be sent again. */
const provenIdleMsMax = 1000;
/** How long a backend counts as one that does, in ms, from the last time. */
const hastyMs = 60_000;

/** This worker's connections to one address: of HTTP/1.1, one for each request, and of HTTP/2, each for many. */
export class BackendPool implements Origin {
  readonly address: string;
  readonly hostname: string;
  readonly port: number;
  /** The server name for TLS; null for plain connections. */
  readonly tlsName: string | null;
  /** Whether the backend has to speak HTTP/2: `h2://` and `h2c://`. */
  readonly isHttp2: boolean;
  /** The latest TLS session from the backend, for resumption; null for none. */
  tlsSession: Buffer | null = null;
  /** Monotonic ms until which the backend counts as one that ends kept connections at any moment. */
  hastyUntilMs = 0;
  /** `Origins` dropped this pool when its last connection closed: another one may have its address by now. */
  isForgotten = false;
  readonly addresses: BackendAddresses;
  private readonly context: ProxyContext;
  private readonly onEmpty: (pool: BackendPool) => void;
  /** Those of HTTP/2. The first one with room gets the next request, so that the others reach their idle limit. */
  private readonly shared: Http2BackendConnection[] = [];
  /** Whether the last connection to a backend that may choose was one of HTTP/2; null before the first. */
  private choseHttp2: boolean | null = null;
  /** Whether it has refused HTTP/2 for a request, although it had chosen it. */
  private requiresHttp1 = false;
  /** Last in, first out: the connections in use stay warm, and the others reach their idle limit. */
  private readonly idle: Http1BackendConnection[] = [];
  /** Idle connections that belong to a client connection, longest idle first. They are not for others. */
  private readonly bound: Http1BackendConnection[] = [];
  private readonly dials: Dial[] = [];
  private readonly queue: QueuedRequest[] = [];
  /** Connections that are dialing, idle or in use. */
  private open = 0;

  constructor(backend: Backend, context: ProxyContext, onEmpty: (pool: BackendPool) => void) {
    this.address = backend.address;
    this.hostname = backend.hostname;
    this.port = backend.port;
    this.tlsName = backend.tlsName;
    this.isHttp2 = backend.isHttp2;
    this.context = context;
    this.onEmpty = onEmpty;
    this.addresses = new BackendAddresses(backend.hostname, context.resolver, context.clock, () => this.retire());
  }

  acquire(waiter: StreamWaiter, freshness: Freshness): void {
    if (this.acquireShared(waiter, freshness)) return;
    const { context } = this;
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
    const oldest = this.oldestIdle();
    if (oldest !== null) {
      this.replace(oldest, waiter);
      return;
    }
    if (this.queue.length >= context.settings.queueMax) {
      waiter.onNoStream('BACKEND_QUEUE_FULL', `${this.queue.length} requests wait for ${this.address}`);
      return;
    }
    this.enqueue(waiter, freshness);
  }

  private enqueue(waiter: StreamWaiter, freshness: Freshness): void {
    const { context } = this;
    const deadlineMs = context.clock.monotonicMs() + context.settings.queueTimeoutMs;
    this.queue.push(new QueuedRequest(this, waiter, freshness, deadlineMs, context));
  }

  cancel(waiter: StreamWaiter): void {
    const at = this.queue.findIndex((waiting) => waiting.waiter === waiter);
    if (at >= 0) this.leaveQueue(at);
    else for (const dial of this.dials) dial.release(waiter);
  }

  /** The protocols that a connection for this waiter may speak, as ALPN offers them in order of preference (RFC 7301). */
  protocolsFor({ carries }: StreamWaiter): readonly string[] {
    if (this.isHttp2) return ['h2'];
    if (this.tlsName === null || this.requiresHttp1 || carries !== 'message') return ['http/1.1'];
    return this.context.backendTls.alpn;
  }

  /** A backend that may choose takes a request over HTTP/1.1 only (RFC 9113 section 7, HTTP_1_1_REQUIRED). */
  requireHttp1(): void {
    this.requiresHttp1 = true;
  }

  /** The dial has succeeded. @param waiters those that it was for; none if they have gone. */
  established(
    dial: Dial,
    connection: Http1BackendConnection | Http2BackendConnection,
    waiters: readonly StreamWaiter[],
  ): void {
    this.leavesDials(dial);
    const isShared = connection instanceof Http2BackendConnection;
    if (dial.offersHttp2) this.choseHttp2 = isShared;
    if (isShared) this.shared.push(connection);
    else if (waiters[0] === undefined) this.giveBack(connection);
    else waiters[0].onStream(connection);
    for (const waiter of isShared ? waiters : waiters.slice(1)) {
      if (!isShared) this.acquire(waiter, 'new');
      else if (connection.hasRoom) waiter.onStream(connection.open());
      // The backend allows fewer requests than that.
      else this.acquire(waiter, 'any');
    }
    if (isShared) this.roomFreed(connection);
  }

  /** A connection of HTTP/2 may take another request. */
  roomFreed(connection: Http2BackendConnection): void {
    while (connection.hasRoom) {
      const next = this.leaveQueue(this.queue.findIndex(({ waiter }) => this.mayCarry(connection, waiter)));
      if (next === null) return;
      next.waiter.onStream(connection.open());
    }
  }

  /** The dial has failed, or is given up. Called once for each. */
  dialFailed(dial: Dial): void {
    this.leavesDials(dial);
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
  closed(connection: Http1BackendConnection | Http2BackendConnection): void {
    if (connection instanceof Http2BackendConnection) {
      const at = this.shared.indexOf(connection);
      if (at >= 0) this.shared.splice(at, 1);
    } else {
      const at = this.idle.lastIndexOf(connection);
      if (at >= 0) this.idle.splice(at, 1);
      this.leavesBound(connection);
    }
    this.placeFreed();
  }

  /** Monotonic ms since when its longest idle connection has been idle; Infinity if none is. */
  get idleSinceMs(): number {
    return this.oldestIdle()?.idleSinceMs ?? Number.POSITIVE_INFINITY;
  }

  /** @returns whether there was one. */
  closeOldestIdle(): boolean {
    const oldest = this.oldestIdle();
    oldest?.destroy();
    return oldest !== null;
  }

  closeIdle(): void {
    for (const connection of this.idle.slice()) connection.destroy();
    for (const connection of this.shared.filter(({ isIdle }) => isIdle)) connection.destroy();
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
    for (const connection of this.shared.slice()) {
      if (!this.addresses.includes(connection.address)) connection.retire();
    }
  }

  /** @internal */
  waitedTooLong(waiting: QueuedRequest): void {
    const at = this.queue.indexOf(waiting);
    if (at < 0) return;
    this.leaveQueue(at);
    waiting.waiter.onNoStream('BACKEND_QUEUE_TIMEOUT', `no connection to ${this.address} became free`);
  }

  /** Finds a stream on a connection that is there, or will be. @returns false if the waiter needs a new connection, or its own. */
  private acquireShared(waiter: StreamWaiter, freshness: Freshness): boolean {
    const { context, dials, shared } = this;
    if (shared.length > 0) {
      const nowMs = context.clock.monotonicMs();
      for (const connection of shared) {
        if (!connection.hasRoom || !this.mayCarry(connection, waiter)) continue;
        const isProven = nowMs - connection.lastReadMs <= provenIdleMsMax;
        // The end of a connection of HTTP/2 is announced, with the requests that were not processed.
        if (!isProven && !(freshness === 'any' || (freshness === 'proven' && nowMs >= this.hastyUntilMs))) continue;
        waiter.onStream(connection.open());
        return true;
      }
    }
    if (dials.length === 0 || this.choseHttp2 === false) return false;
    const dial = dials.find((each) => each.takes(waiter));
    dial?.join(waiter);
    return dial !== undefined;
  }

  private mayCarry(connection: Http2BackendConnection, { carries }: StreamWaiter): boolean {
    if (this.isHttp2 || this.requiresHttp1) return this.isHttp2;
    return carries === 'message' || (carries === 'websocket' && connection.takesWebSockets);
  }

  /** The connection that has been idle longest, of a client only if there is no other; null for none. */
  private oldestIdle(): Http1BackendConnection | Http2BackendConnection | null {
    let oldest: Http1BackendConnection | Http2BackendConnection | null = this.idle[0] ?? null;
    for (const connection of this.shared) {
      if (connection.isIdle && (oldest === null || connection.idleSinceMs < oldest.idleSinceMs)) oldest = connection;
    }
    return oldest ?? this.bound[0] ?? null;
  }

  private leavesDials(dial: Dial): void {
    const at = this.dials.indexOf(dial);
    if (at >= 0) this.dials.splice(at, 1);
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
  private replace(connection: Http1BackendConnection | Http2BackendConnection, waiter: StreamWaiter): void {
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
    const [waiting] = at < 0 || this.queue.length === 0 ? [] : this.queue.splice(at, 1);
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
  private readonly pool: BackendPool;

  constructor(
    pool: BackendPool,
    waiter: StreamWaiter,
    freshness: Freshness,
    deadlineMs: number,
    context: ProxyContext,
  ) {
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
