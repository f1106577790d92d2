import type { ErrorCode } from '../base/errors.ts';
import type { HttpVersion } from '../http/message.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';

/** An exchange that has ended: what logs and metrics may know of it. Texts are latin1. */
export interface EndedExchange {
  /** Who asked: an address. */
  readonly clientAddress: string;
  /** Empty where the request could not be read. */
  readonly method: string;
  /** As the client sent it. */
  readonly target: string;
  readonly version: HttpVersion;
  /** Values of these fields; null where the request had none. */
  readonly referer: string | null;
  readonly userAgent: string | null;
  /** Normalised; empty before routing or without one. */
  readonly host: string;
  /** Given to the client; 0 where none was. */
  readonly status: number;
  /** Why it did not end well, or that it was answered by the proxy itself; null where all went well. */
  readonly errorCode: ErrorCode | null;
  readonly errorDetail: string;
  /** Bytes written to the client, heads included. */
  readonly bytesSent: number;
  /** Bytes of a tunnel written to the backend. */
  readonly tunnelBytesReceived: number;
  readonly frontend: Frontend | null;
  /** That gave the response; null where none did. */
  readonly backend: Backend | null;
  /** Backends asked. */
  readonly attempts: number;
  /** Monotonic ms at which the request's head was complete. */
  readonly startMs: number;
  /** Monotonic ms at which it was sent to the backend that answered; 0 where it never was. */
  readonly sentMs: number;
  readonly endMs: number;
  /** Whether it only asked for the health of the proxy itself. */
  readonly isHealthCheck: boolean;
  /** Whether it was a tunnel, whose end this is. */
  readonly isTunnel: boolean;
}

/** What the data plane reports to: implemented by `telemetry/`. Called on the hot path: must be quick, never throw. */
export interface ProxyObserver {
  /** An exchange has ended, in whatever way. It must not be kept. */
  exchangeEnded(exchange: EndedExchange): void;
}
