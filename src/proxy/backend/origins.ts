import type { Backend } from '../../routing/backend.ts';
import type { ProxyContext } from '../context.ts';
import { BackendPool } from './backend-pool.ts';

/** Backends without a connection of which something is remembered; a TLS session takes about 2 KB. */
const rememberedMax = 1000;
/** Pools that are looked at to find an idle connection. */
const lookedAtMax = 200;

/** Knowledge of an origin that outlives its pool. */
interface OriginMemory {
  /** The next connection resumes it. */
  readonly tlsSession: Buffer | null;
  readonly hastyUntilMs: number;
}

/** This worker's origins by address. Hosts that share a backend share its connections. */
export class Origins {
  private readonly pools = new Map<string, BackendPool>();
  /** Of backends that have no connection now, by address. */
  private readonly memories = new Map<string, OriginMemory>();
  private readonly forget = (pool: BackendPool): void => {
    this.pools.delete(pool.address);
    pool.isForgotten = true;
    this.remember(pool);
  };

  of(backend: Backend, context: ProxyContext): BackendPool {
    const { attachment } = backend;
    if (attachment instanceof BackendPool && !attachment.isForgotten) return attachment;
    let pool = this.pools.get(backend.address);
    if (pool === undefined) {
      pool = new BackendPool(backend, context, this.forget);
      const memory = this.memories.get(backend.address);
      pool.tlsSession = memory?.tlsSession ?? null;
      pool.hastyUntilMs = memory?.hastyUntilMs ?? 0;
      this.pools.set(backend.address, pool);
    }
    backend.attachment = pool;
    return pool;
  }

  private remember({ address, hastyUntilMs, tlsSession }: BackendPool): void {
    this.memories.delete(address);
    if (tlsSession === null && hastyUntilMs === 0) return;
    this.memories.set(address, { tlsSession, hastyUntilMs });
    if (this.memories.size <= rememberedMax) return;
    const oldest = this.memories.keys().next();
    if (!oldest.done) this.memories.delete(oldest.value);
  }

  /** Closes the connection that has been idle longest among the next few pools. @returns whether there was one. */
  closeLongestIdle(): boolean {
    let oldest: BackendPool | null = null;
    let left = Math.min(lookedAtMax, this.pools.size);
    for (const [address, pool] of this.pools) {
      if (left-- === 0) break;
      if (oldest === null || pool.idleSinceMs < oldest.idleSinceMs) oldest = pool;
      // To the end, so that the next look finds others. A kept iterator would keep every pool that ever was.
      this.pools.delete(address);
      this.pools.set(address, pool);
    }
    return oldest?.closeOldestIdle() === true;
  }

  closeIdle(): void {
    for (const pool of this.pools.values()) pool.closeIdle();
  }

  get size(): number {
    return this.pools.size;
  }

  /** Requests queued for a connection, over all pools. */
  get waitingRequests(): number {
    let count = 0;
    for (const pool of this.pools.values()) count += pool.waitingRequests;
    return count;
  }
}
