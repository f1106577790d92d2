import type { BlockList } from 'node:net';
import type { HeadLimits } from '../http1/head.ts';

/** Settings of the data plane that are the same for every host. Times in milliseconds; 0 means no limit only where it says so. */
export interface ProxySettings extends HeadLimits {
  /** Connections to one backend, by this worker. */
  readonly backendConnectionsMax: number;
  /** Whether connections to backends are used again. */
  readonly backendKeepAlive: boolean;
  /** How long an unused connection to a backend is kept. */
  readonly backendIdleMs: number;
  readonly connectTimeoutMs: number;
  /** Time without any byte while one is due, from client or backend; 0: no limit. */
  readonly inactivityMs: number;
  readonly headTimeoutMs: number;
  /** How long a client may keep an unused connection. */
  readonly keepAliveMs: number;
  /** Requests that wait for a connection to one backend. */
  readonly queueMax: number;
  readonly queueTimeoutMs: number;
  readonly informationalResponsesMax: number;
  /** Client connections of this worker. */
  readonly connectionsMax: number;
  /** Time without any byte through a tunnel; 0: no limit. */
  readonly tunnelIdleMs: number;
  readonly writeBufferBytesMax: number;
  /** Peers that may say who the client is. */
  readonly trustedProxies: BlockList;
}
