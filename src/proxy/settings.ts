import type { Networks } from '../base/networks.ts';
import type { HeadLimits } from '../http1/head.ts';
import type { BudgetLimits } from '../http2/budget.ts';
import type { IdentityFields } from './client-identity.ts';

/**
 * Data plane settings that are the same for every host. Times are in milliseconds; 0 means no limit only where stated.
 */
export interface ProxySettings extends HeadLimits {
  /** Limits of the heads of responses, and of their trailers. */
  readonly responseLimits: HeadLimits;
  /** Connections to one backend, for this worker. */
  readonly backendConnectionsMax: number;
  /** Whether connections to backends are reused. */
  readonly backendKeepAlive: boolean;
  /** How long an unused backend connection is kept. */
  readonly backendIdleMs: number;
  /** How long a backend connection is used before it is replaced by a new one. */
  readonly backendAgeMs: number;
  /** Time without any byte from a client while one is due; 0: no limit. */
  readonly inactivityMs: number;
  readonly headTimeoutMs: number;
  /** Bytes per second of a request body, on average after `bodyGraceMs`; 0: no limit. */
  readonly bodyRateMin: number;
  readonly bodyGraceMs: number;
  /** How long an unused client connection is kept; 0: every response ends its connection. */
  readonly keepAliveMs: number;
  /** Requests queued for a connection to one backend. */
  readonly queueMax: number;
  readonly queueTimeoutMs: number;
  readonly informationalResponsesMax: number;
  /** Client connections, for this worker; Infinity: only `descriptorsMax` limits them. */
  readonly connectionsMax: number;
  /** Connections of clients and backends together, for this worker. */
  readonly descriptorsMax: number;
  readonly writeBufferBytesMax: number;
  /** Requests of one HTTP/2 connection at a time. */
  readonly http2StreamsMax: number;
  /** Requests of one HTTP/2 connection to a backend at a time. */
  readonly http2BackendStreamsMax: number;
  /** How much of the body of a request or response, and of those of one connection together, may be under way. At least 65,535. */
  readonly http2StreamWindowBytes: number;
  readonly http2ConnectionWindowBytes: number;
  /** For the frames of a connection that carry no message. */
  readonly http2Budget: BudgetLimits;
  /** Whether the route of a host and port takes precedence over that of the host. */
  readonly routesByPort: boolean;
  /** The fields about the client that backends get. */
  readonly identity: IdentityFields;
  /** Peers whose fields about the client's identity are believed. */
  readonly trustedProxies: Networks;
}
