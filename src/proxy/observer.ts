import type { ErrorCode } from '../base/errors.ts';
import type { HttpVersion } from '../http/message.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';

/** An ended exchange, as logs and metrics see it. Texts are latin1. */
export interface EndedExchange {
  readonly clientAddress: string;
  /** The port of its connection; 0 if another proxy has it. */
  readonly clientPort: number;
  /** Of its TLS with this proxy, such as `TLSv1.3`; null without. */
  readonly tlsVersion: string | null;
  /** From 0 up to but not including 1, drawn anew for each exchange: for sampling. */
  readonly draw: number;
  /** Its id, as backends get it in X-Request-Id, and clients in local replies. */
  readonly requestId: string;
  /** Empty if the request could not be read. */
  readonly method: string;
  /** As the client sent it. */
  readonly target: string;
  readonly version: HttpVersion;
  /** Values of these fields; null if the request had none. */
  readonly referer: string | null;
  readonly userAgent: string | null;
  /** Normalised; empty before routing, or if the request has none. */
  readonly host: string;
  /** Status sent to the client; 0 if none was. */
  readonly status: number;
  /** Why the exchange failed, or why the proxy sent a local reply; null on success. */
  readonly errorCode: ErrorCode | null;
  readonly errorDetail: string;
  /** Bytes written to the client, heads included. */
  readonly bytesSent: number;
  /** Bytes of the request's body that have come. */
  readonly bodyBytes: number;
  /** Bytes that a tunnel has written to the backend. */
  readonly tunnelBytesReceived: number;
  readonly frontend: Frontend | null;
  /** The one that responded; null if none did. */
  readonly backend: Backend | null;
  /** Number of attempts; two may be at the same backend. */
  readonly attempts: number;
  /** Monotonic ms at which the request's head was complete. */
  readonly startMs: number;
  /** Monotonic ms at which the first attempt began; 0 without one. */
  readonly firstAttemptMs: number;
  /** Monotonic ms at which the request was sent to the backend that responded; 0 if it was never sent. */
  readonly sentMs: number;
  /** Ms from `startMs` until the head of the backend's response had come; -1 if it did not. */
  readonly firstByteMs: number;
  readonly endMs: number;
  /** Whether it was a health check of the proxy itself. */
  readonly isHealthCheck: boolean;
  /** Whether it is a tunnel that has ended. */
  readonly isTunnel: boolean;
}

/**
 * The data plane reports to it; `telemetry/` implements it. Called on the hot path: must be fast and must not throw.
 */
export interface ProxyObserver {
  /** An exchange has ended, for any reason. The object must not be kept. */
  exchangeEnded(exchange: EndedExchange): void;
  /** An attempt at a backend has failed, or its response has a status of 500 or above. @param reason a code or `status <n>`. */
  backendFailed?(backend: FailedBackend, pattern: string, reason: string): void;
}

export type FailedBackend = Pick<Backend, 'url'>;
