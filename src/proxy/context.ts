import type { Clock } from '../base/clock.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { BackendPools } from './backend/pool.ts';
import type { Counters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { ErrorPages } from './error-pages.ts';
import type { ProxyObserver } from './observer.ts';
import type { RouteSource } from './route-source.ts';
import type { ProxySettings } from './settings.ts';
import type { Tunnels } from './tunnel/tunnels.ts';

/** What the data plane is made of from outside. */
export interface DataPlaneParts {
  readonly settings: ProxySettings;
  readonly routes: RouteSource;
  readonly observer: ProxyObserver;
  readonly pages: ErrorPages | null;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** For the debug header. */
  readonly version: string;
  /** How connections to `https://` backends are made. */
  readonly backendTls: BackendTls;
  /** Told of what an operator should know; `what` is the same for the same cause, so that repeats can be held back. */
  readonly onProblem: (what: string, error: Error) => void;
}

/** What everything in one worker's data plane shares. */
export interface ProxyContext extends DataPlaneParts {
  readonly pools: BackendPools;
  readonly deadlines: Deadlines;
  readonly counters: Counters;
  readonly tunnels: Tunnels;
  /** Set when the proxy is to stop: connections end with the exchange under way. */
  draining: boolean;
}

/** When a side that is waited for from now on has been silent for too long; Infinity where that has no limit. */
export function inactivityDeadline({ clock, settings }: ProxyContext): number {
  return settings.inactivityMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + settings.inactivityMs;
}

/** Where a connection came in. */
export interface ListenerTraits {
  readonly secure: boolean;
  /** Whether every connection begins with a PROXY protocol header, before TLS where that is spoken too. */
  readonly proxyProtocol: boolean;
}
