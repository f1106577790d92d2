import type { Exchange } from './exchange.ts';

/** What the data plane reports to: implemented by `telemetry/`. Called on the hot path: must be quick, never throw. */
export interface ProxyObserver {
  /** An exchange has ended, in whatever way; its fields say how, and must not be kept. */
  exchangeEnded(exchange: Exchange): void;
}
