import type { Clock } from '../base/clock.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { Origins } from './backend/origins.ts';
import type { Counters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { ErrorPages } from './error-pages.ts';
import type { LocalResponder } from './local-responder.ts';
import type { ProxyObserver } from './observer.ts';
import type { RouteSource } from './route-source.ts';
import type { ProxySettings } from './settings.ts';
import type { Tunnels } from './tunnel/tunnels.ts';

/** The parts of the data plane that come from outside. */
export interface DataPlaneParts {
  readonly settings: ProxySettings;
  /** Of hosts that have none of their own. */
  readonly policy: HostPolicy;
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
  /** Reports a problem to the operator; `what` is the same for the same cause, so that repeats can be held back. */
  readonly onProblem: (what: string, error: Error) => void;
}

/** Shared by everything in one worker's data plane. */
export interface ProxyContext extends DataPlaneParts {
  readonly origins: Origins;
  /** They are asked in this order. */
  readonly responders: readonly LocalResponder[];
  readonly deadlines: Deadlines;
  readonly counters: Counters;
  readonly tunnels: Tunnels;
  /** Something of ours threw; it ended what it concerned. @param where `a client connection`. */
  readonly onInternalError: (where: string, error: Error) => void;
  /** Set when the proxy is to stop: connections end with the exchange under way. */
  draining: boolean;
}

/** When a side that is waited for from now on has been silent for too long; Infinity where that has no limit. */
export function inactivityDeadline({ clock, settings }: ProxyContext): number {
  return settings.inactivityMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + settings.inactivityMs;
}

/**
 * How long an unused connection is kept when the proxy stops, in ms: a request may be on its way, and gets the last
 * response.
 */
export const drainGraceMs = 2000;
