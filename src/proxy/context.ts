import type { Clock } from '../base/clock.ts';
import type { BackendPools } from './backend-pool.ts';
import type { Counters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { ErrorPages } from './error-pages.ts';
import type { ProxyObserver } from './observer.ts';
import type { RouteSource } from './route-source.ts';
import type { ProxySettings } from './settings.ts';

/** What everything in one worker's data plane shares. */
export interface ProxyContext {
  readonly settings: ProxySettings;
  readonly routes: RouteSource;
  readonly pools: BackendPools;
  readonly deadlines: Deadlines;
  readonly observer: ProxyObserver;
  readonly pages: ErrorPages | null;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  readonly counters: Counters;
  readonly onProblem: (what: string, error: Error) => void;
  /** For the debug header. */
  readonly version: string;
  /** Set when the proxy is to stop: connections end with the exchange under way. */
  draining: boolean;
}
