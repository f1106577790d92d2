import type { HookTarget } from '../base/hook-target.ts';
import type { FieldEdits } from '../http/field-lines.ts';
import type { FrontendLoad } from '../routing/frontend.ts';
import type { MarkingRule } from '../routing/health.ts';
import type { PathPrefixes } from '../routing/path-prefixes.ts';
import type { RetryBudgetLimits } from '../routing/retry-budget.ts';
import type { Selector } from '../routing/selector.ts';
import type { StickyCookie } from '../routing/sticky-cookie.ts';
import type { AdmissionRule } from './admission.ts';
import type { BackendHost } from './backend-host.ts';
import type { ClientAuthorities } from './client-authorities.ts';
import type { ErrorPage } from './error-page.ts';
import type { FieldChanges } from './field-changes.ts';
import type { HealthCheck } from './health-check.ts';

import type { HoldPolicy, QueuePolicy } from './hold.ts';

/** The limits and behaviour for one host: built once, and shared by all hosts without options of their own. */
export interface HostPolicy {
  /** Rules that a request has to pass before it goes to a backend, in this order; null for none. */
  readonly rules: readonly AdmissionRule[] | null;
  /** Prefixes of paths that have frontends of their own; null for none. */
  readonly paths: PathPrefixes | null;
  /** The prefix that backends do not get; empty for none. */
  readonly strippedPath: string;
  /** Changes to the fields of requests for the backend; null for none. */
  readonly requestFields: FieldChanges | null;
  /** The Host field for the backend; null: the client's. */
  readonly backendHost: BackendHost;
  /** Changes to the fields of responses; null for none. */
  readonly responseEdits: ResponseEdits | null;
  readonly timeouts: BackendTimeouts;
  /** Time without any byte through a tunnel, in ms; 0: no limit. */
  readonly tunnelIdleMs: number;
  /** The page for local error replies; null: that of the instance. */
  readonly errorPage: ErrorPage | null;
  /** Protocols besides WebSocket to which clients may switch, in lower case. */
  readonly upgrades: ReadonlySet<string>;
  /** Chooses the backend of a request. */
  readonly selector: Selector;
  /** The cookie in which clients get the name of their backend; null for none. */
  readonly sticky: StickyCookie | null;
  /** Requests in flight, for this worker. */
  readonly requestsMax: number;
  /** Bytes in the body of a request; Infinity: no limit. */
  readonly requestBodyBytesMax: number;
  /** Tunnels, for this worker. */
  readonly tunnelsMax: number;
  /** Retries of one request; 0 disables them. */
  readonly retriesMax: number;
  /** How requests wait while no backend is there; null: they fail. */
  readonly hold: HoldPolicy | null;
  /** Whether requests wait although backends are there. */
  readonly isPaused: boolean;
  /** How requests wait while `requestsMax` are in flight; null: they fail. */
  readonly queue: QueuePolicy | null;
  /** Hears that requests wait for a backend, and that the host is idle; null for nobody. */
  readonly wake: HookTarget | null;
  /** After how long without a request or a frame the host is idle, in ms; 0: nobody wants to know. */
  readonly idleAfterMs: number;
  /** How long after its first attempt a request may be sent to another backend, in ms. */
  readonly retryForMs: number;
  /** Whether an idempotent request is also retried after the backend did not respond in time. */
  readonly retryTimeouts: boolean;
  readonly retryBudget: RetryBudgetLimits;
  /** Largest request body kept for a retry, in bytes. */
  readonly retryBodyBytesMax: number;
  /** How long a dead mark lasts, in ms; 0: backends are never marked. */
  readonly downMs: number;
  readonly marking: MarkingRule;
  /** Whether a certificate is to be ordered for the host, if an authority is configured. */
  readonly ordersCertificate: boolean;
  /** Whose certificates its clients are asked for in the TLS handshake; null if for none. */
  readonly clientAuthorities: ClientAuthorities | null;
  /**
   * Share of the requests that are logged, from 0 to 1, of those that are neither answered with a status from 500 nor have an error
   * that somebody else than the client has to look at; negative: no request is.
   */
  readonly accessLogShare: number;
  /** The regular checks of its backends, which the primary makes; null for none. */
  readonly health: HealthCheck | null;
}

/** How long backends may take, in ms; 0: no limit. */
export interface BackendTimeouts {
  /** Until a connection is established, the lookup of the name and the TLS handshake included; always limited. */
  readonly connectMs: number;
  /** Until the head of a response, or without accepting any byte of a request. */
  readonly responseMs: number;
  /** Without any byte of a response whose head has come. */
  readonly responseIdleMs: number;
}

/** Changes to the fields of responses to clients. */
export interface ResponseEdits {
  readonly plain: FieldEdits | null;
  /** For clients that use https. */
  readonly secure: FieldEdits | null;
  /** The line of `Strict-Transport-Security`, for local replies to clients that use https; empty for none. */
  readonly hstsLine: string;
}

/** Why the host may not have another request or tunnel; empty if it may. */
export function whyNotAdmitted(
  policy: Pick<HostPolicy, 'requestsMax' | 'tunnelsMax'>,
  load: FrontendLoad,
  isTunnel: boolean,
): string {
  if (load.inFlight >= policy.requestsMax) return `${load.inFlight} requests in flight`;
  return isTunnel && load.tunnels >= policy.tunnelsMax ? `${load.tunnels} tunnels` : '';
}
