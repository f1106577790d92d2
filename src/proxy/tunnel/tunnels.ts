import { invariant } from '../../base/invariant.ts';
import type { Backend } from '../../routing/backend.ts';
import type { Frontend } from '../../routing/frontend.ts';
import type { ProxyContext } from '../context.ts';
import type { EndedExchange } from '../observer.ts';
import type { TunnelEndpoint } from '../server-stream.ts';
import { Tunnel, type TunnelOutcome } from './tunnel.ts';
import { TunnelExchange } from './tunnel-exchange.ts';

/** Share of the drain time over which the Close frames to tunnels are spread. */
const goodbyeShare = 0.8;

/** One worker's tunnels. */
export class Tunnels {
  private readonly open = new Set<Tunnel>();
  /** While draining: the Close code for tunnels that begin now. */
  private closeCode: number | null = null;
  /** Called when the last tunnel has ended. */
  onEmpty: (() => void) | null = null;
  /** Called for each tunnel that has ended because this process, or its backend, drains. */
  onDrained: ((exchange: TunnelExchange) => void) | null = null;

  get size(): number {
    return this.open.size;
  }

  /** Calls `use` with the frontend of each tunnel through which a byte has come since then. @param sinceMs monotonic. */
  activeSince(sinceMs: number, use: (frontend: Frontend) => void): void {
    for (const { activeMs, exchange } of this.open) {
      if (activeMs >= sinceMs && exchange.frontend !== null) use(exchange.frontend);
    }
  }

  /** The exchange of a handshake continues as a tunnel until either end closes it. */
  begin(
    context: ProxyContext,
    handshake: EndedExchange,
    client: TunnelEndpoint,
    backend: TunnelEndpoint,
    isWebSocket: boolean,
  ): void {
    context.counters.tunnels++;
    context.counters.tunnelsOpen++;
    const exchange = new TunnelExchange(handshake);
    const tunnel = new Tunnel(context, exchange, client.stream, backend.stream, isWebSocket, this.ended);
    this.open.add(tunnel);
    tunnel.start(client, backend);
    const nowMs = context.clock.monotonicMs();
    const isLate = (handshake.backend?.drainUntilMs ?? null) !== null;
    const closeCode = this.closeCode ?? (isLate ? 1001 : null);
    if (closeCode !== null) tunnel.endAt(nowMs, closeCode, nowMs);
    handshake.frontend?.load.waiting?.placeFreed();
  }

  /** One function for all tunnels, because an idle tunnel should take little memory. */
  private readonly ended = (tunnel: Tunnel, end: TunnelOutcome): void => {
    const { context, exchange } = tunnel;
    invariant(this.open.has(tunnel), 'a tunnel ends once');
    const { counters } = context;
    this.open.delete(tunnel);
    counters.tunnelsOpen--;
    if (end.code === 'TUNNEL_DRAINED') {
      counters.tunnelsDrained++;
      this.onDrained?.(exchange);
    }
    counters.tunnelBytesFromBackends += end.bytesToClient;
    counters.tunnelBytesFromClients += end.bytesToBackend;
    exchange.end(end, context.clock.monotonicMs());
    context.observer.exchangeEnded(exchange);
    if (this.open.size === 0) this.onEmpty?.();
  };

  /** Sends every tunnel its Close, spread over most of `forMs`, so that the clients do not all reconnect at once. */
  drain(nowMs: number, forMs: number, closeCode: number): void {
    this.closeCode = closeCode;
    spread([...this.open], nowMs, forMs, closeCode);
  }

  /** The same for the tunnels to one backend, which gets no others. */
  drainAt(backend: Backend, nowMs: number, forMs: number): void {
    spread(this.at(backend), nowMs, forMs, 1001);
  }

  /** Ends the tunnels to one backend at once. */
  destroyAt(backend: Backend): void {
    for (const tunnel of this.at(backend)) tunnel.destroy('TUNNEL_DRAINED', 'did not close in time');
  }

  private at(backend: Backend): Tunnel[] {
    return [...this.open].filter(({ exchange }) => exchange.backend === backend);
  }

  /** Ends all tunnels at once. */
  destroy(): void {
    for (const tunnel of this.open) tunnel.destroy('TUNNEL_DRAINED', 'did not close in time');
  }
}

function spread(tunnels: readonly Tunnel[], nowMs: number, forMs: number, closeCode: number): void {
  const stepMs = (forMs * goodbyeShare) / Math.max(1, tunnels.length);
  for (const [i, tunnel] of tunnels.entries()) tunnel.endAt(nowMs + i * stepMs, closeCode, nowMs);
}
