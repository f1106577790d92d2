import { drainKey, type HostDrain } from '../base/host-drain.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { ProxyContext } from './context.ts';
import type { ServerConnections } from './server/connections.ts';

/** How long a drain that is over is still reported, in ms: commands read from the store what it has ended. */
const reportedMs = 10_000;
/** How long after the end of a drain something may still be in progress, in ms: connections that close. */
const closingMs = 10_000;

interface Drain extends HostDrain {
  inFlight: number;
  tunnelsEnded: number;
  requestsEnded: number;
  /** Since when nothing is in progress, in monotonic ms. */
  overMs: number | null;
}

/** Backends of one worker that drain, as long as something is in progress there. They end it in time. */
export class BackendDrains {
  private readonly context: ProxyContext;
  private readonly connections: ServerConnections;
  /** Backends where something is in progress, each with its drain. */
  private readonly open = new Map<Backend, Drain>();
  /** Those of `open`, and those that were over a moment ago. By pattern and end. */
  private readonly drains = new Map<string, Drain>();

  constructor(context: ProxyContext, connections: ServerConnections) {
    this.context = context;
    this.connections = connections;
    context.tunnels.onDrained = ({ backend }) => {
      const drain = backend === null ? undefined : this.open.get(backend);
      if (drain !== undefined) drain.tunnelsEnded++;
    };
  }

  /** Requests and tunnels that are in progress at these backends. */
  get inFlight(): number {
    let sum = 0;
    for (const backend of this.open.keys()) sum += backend.inFlight;
    return sum;
  }

  /** The drains in progress, and those that were over a moment ago. */
  report(): HostDrain[] {
    for (const drain of this.drains.values()) drain.inFlight = 0;
    for (const [backend, drain] of this.open) drain.inFlight += backend.inFlight;
    return [...this.drains.values()].map(({ inFlight, pattern, requestsEnded, tunnelsEnded, untilMs }) => ({
      ...{ pattern, untilMs, inFlight, tunnelsEnded, requestsEnded },
    }));
  }

  /** The record of a route has backends that drain. They may be known. */
  begin({ draining, pattern }: Pick<Frontend, 'draining' | 'pattern'>): void {
    for (const backend of draining) {
      const untilMs = backend.drainUntilMs ?? 0;
      if (backend.inFlight === 0 || this.open.get(backend)?.untilMs === untilMs) continue;
      this.open.set(backend, this.drainOf(pattern, untilMs));
      const { clock, tunnels } = this.context;
      tunnels.drainAt(backend, clock.monotonicMs(), Math.max(0, untilMs - clock.epochMs()));
    }
  }

  /** Has to be called regularly. */
  tick(): void {
    if (this.drains.size === 0) return;
    this.endOpen(this.context.clock.epochMs());
    this.forgetOver(this.context.clock.monotonicMs());
  }

  private drainOf(pattern: string, untilMs: number): Drain {
    const key = drainKey({ pattern, untilMs });
    const known = this.drains.get(key);
    if (known !== undefined) {
      known.overMs = null;
      return known;
    }
    const drain: Drain = { pattern, untilMs, inFlight: 0, tunnelsEnded: 0, requestsEnded: 0, overMs: null };
    this.drains.set(key, drain);
    return drain;
  }

  private endOpen(nowMs: number): void {
    const { counters, tunnels } = this.context;
    for (const [backend, drain] of this.open) {
      // Or it has been added again.
      const isOver = backend.inFlight === 0 || backend.drainUntilMs === null;
      if (isOver || nowMs > drain.untilMs + closingMs) {
        this.open.delete(backend);
      } else if (nowMs >= drain.untilMs) {
        tunnels.destroyAt(backend);
        const ended = this.connections.destroyAt(backend);
        counters.requestsDrained += ended;
        drain.requestsEnded += ended;
      }
    }
  }

  private forgetOver(nowMs: number): void {
    const open = new Set(this.open.values());
    for (const [key, drain] of this.drains) {
      if (open.has(drain)) continue;
      drain.overMs ??= nowMs;
      if (nowMs - drain.overMs >= reportedMs) this.drains.delete(key);
    }
  }
}
