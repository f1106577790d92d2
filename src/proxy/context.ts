import type { Clock } from '../base/clock.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { WebFetch } from '../policy/web-fetch.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { Activity } from './activity.ts';
import type { Origins } from './backend/origins.ts';
import type { Counters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { ErrorPages } from './error-pages.ts';
import type { HostPages } from './host-pages.ts';
import type { LocalResponder } from './local-responder.ts';
import type { ProxyObserver } from './observer.ts';
import type { RefusalQueue } from './refusal-queue.ts';
import type { RouteSource } from './route-source.ts';
import type { ProxySettings } from './settings.ts';
import type { Tunnels } from './tunnel/tunnels.ts';
import type { Rooms } from './waiting-room.ts';

/** The parts that the data plane gets from outside. */
export interface DataPlaneParts {
  readonly settings: ProxySettings;
  /** For hosts without a policy of their own. */
  readonly policy: HostPolicy;
  readonly routes: RouteSource;
  /** Asked in this order, before routes. */
  readonly responders: readonly LocalResponder[];
  readonly observer: ProxyObserver;
  readonly pages: ErrorPages | null;
  /** Fetches the error pages of hosts. */
  readonly fetch: WebFetch;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** Shown in the debug header. */
  readonly version: string;
  /** Follows the names of backends. */
  readonly resolver: Pick<NameResolver, 'watch'>;
  /** How to connect to `https://` backends. */
  readonly backendTls: BackendTls;
  /** Requests of a host wait for a backend. Called again now and then. */
  readonly onAsleep: (pattern: string, target: HookTarget) => void;
  /** A backend of a host that was asleep is there. */
  readonly onAwake: (pattern: string) => void;
  /** These hosts were used, whose platforms want to know when they are not. */
  readonly onUsed: (hosts: readonly UsedHost[]) => void;
  /** Reports a problem to the operator. `what` is the same for the same cause, so that repeats can be suppressed. */
  readonly onProblem: (what: string, error: Error) => void;
  /** The same for events that are no faults of the proxy. */
  readonly onWarning: (what: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Shared by everything in one worker's data plane. */
export interface ProxyContext extends DataPlaneParts {
  readonly origins: Origins;
  readonly deadlines: Deadlines;
  readonly counters: Counters;
  readonly tunnels: Tunnels;
  readonly hostPages: HostPages;
  readonly activity: Activity;
  readonly rooms: Rooms;
  readonly refusals: RefusalQueue;
  /** Whether a connection to a backend can be opened: see `ConnectionBudget`. */
  readonly makeRoom: () => boolean;
  /** The proxy's own code threw; the connection concerned ends. @param where such as `a client connection`. */
  readonly onInternalError: (where: string, error: Error) => void;
  /** Set when the proxy stops: each connection ends after its current exchange. */
  draining: boolean;
}

/** Deadline for a peer that is awaited from now on; Infinity if inactivity has no limit. */
export function inactivityDeadline({ clock, settings }: ProxyContext): number {
  return settings.inactivityMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + settings.inactivityMs;
}

/** Deadline for the next byte of a tunnel, or of a call that is silent; Infinity if there is no limit. */
export function tunnelIdleDeadline({ tunnelIdleMs }: HostPolicy, { clock }: ProxyContext): number {
  return tunnelIdleMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + tunnelIdleMs;
}

/**
 * How long an unused client connection stays open once the proxy stops, in ms: a request may be on its way, and still
 * gets a response.
 */
export const drainGraceMs = 2000;

/**
 * Silence after which the kernel probes whether a peer is still there, in ms: on connections that may be silent for long, as those of
 * tunnels and of HTTP/2 are.
 */
export const keepAliveMs = 60_000;
