import type { Backend } from '../routing/backend.ts';
import type { ProxyContext } from './context.ts';
import type { ServerConnections } from './server/connections.ts';

/** Backends of one worker that drain, as long as something is in progress there. They end it in time. */
export class BackendDrains {
  private readonly context: ProxyContext;
  private readonly connections: ServerConnections;
  /** Each with its end, in epoch ms. */
  private readonly ends = new Map<Backend, number>();

  constructor(context: ProxyContext, connections: ServerConnections) {
    this.context = context;
    this.connections = connections;
  }

  /** Requests and tunnels that are in progress at these backends. */
  get inFlight(): number {
    let sum = 0;
    for (const backend of this.ends.keys()) sum += backend.inFlight;
    return sum;
  }

  /** The record of a route has these backends. They may be known. */
  begin(draining: readonly Backend[]): void {
    for (const backend of draining) {
      const untilMs = backend.drainUntilMs ?? 0;
      if (backend.inFlight === 0 || this.ends.get(backend) === untilMs) continue;
      this.ends.set(backend, untilMs);
      const { clock, tunnels } = this.context;
      tunnels.drainAt(backend, clock.monotonicMs(), Math.max(0, untilMs - clock.epochMs()));
    }
  }

  /** Has to be called regularly. */
  tick(): void {
    if (this.ends.size === 0) return;
    const { clock, counters, tunnels } = this.context;
    const nowMs = clock.epochMs();
    for (const [backend, untilMs] of this.ends) {
      // Or it has been added again.
      const isOver = backend.inFlight === 0 || backend.drainUntilMs === null;
      if (!isOver && untilMs > nowMs) continue;
      if (!isOver) {
        tunnels.destroyAt(backend);
        counters.requestsDrained += this.connections.destroyAt(backend);
      }
      this.ends.delete(backend);
    }
  }
}
