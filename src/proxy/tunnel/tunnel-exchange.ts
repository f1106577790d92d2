import type { ErrorCode } from '../../base/errors.ts';
import type { HttpVersion } from '../../http/message.ts';
import type { Backend } from '../../routing/backend.ts';
import type { Frontend } from '../../routing/frontend.ts';
import type { EndedExchange } from '../observer.ts';
import type { TunnelOutcome } from './tunnel.ts';

/**
 * The part of an exchange that a tunnel keeps: what its end reports. A tunnel may live for days, so it does not keep
 * the heads, the connections' readers or the texts that its own texts are cut from.
 */
export class TunnelExchange implements EndedExchange {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly tlsVersion: string | null;
  readonly draw: number;
  readonly requestId: string;
  readonly method: string;
  readonly target: string;
  readonly version: HttpVersion;
  readonly referer: string | null;
  readonly userAgent: string | null;
  readonly host: string;
  readonly status: number;
  errorCode: ErrorCode | null = null;
  errorDetail = '';
  bytesSent: number;
  /** A handshake has no body. */
  readonly bodyBytes = 0;
  tunnelBytesReceived = 0;
  readonly frontend: Frontend | null;
  readonly backend: Backend | null;
  readonly attempts: number;
  readonly startMs: number;
  readonly firstAttemptMs: number;
  readonly sentMs: number;
  readonly firstByteMs: number;
  endMs = 0;
  readonly isHealthCheck = false;
  readonly isTunnel = true;

  /**
   * @param exchange of the handshake. Takes over its load: it already counts as a tunnel, and no longer as a request.
   */
  constructor(exchange: EndedExchange) {
    this.clientAddress = ownText(exchange.clientAddress);
    this.clientPort = exchange.clientPort;
    this.tlsVersion = exchange.tlsVersion;
    this.draw = exchange.draw;
    this.requestId = ownText(exchange.requestId);
    this.method = exchange.method;
    this.target = ownText(exchange.target);
    this.version = exchange.version;
    this.referer = exchange.referer === null ? null : ownText(exchange.referer);
    this.userAgent = exchange.userAgent === null ? null : ownText(exchange.userAgent);
    this.host = ownText(exchange.host);
    this.status = exchange.status;
    this.bytesSent = exchange.bytesSent;
    this.frontend = exchange.frontend;
    this.backend = exchange.backend;
    this.attempts = exchange.attempts;
    this.startMs = exchange.startMs;
    this.firstAttemptMs = exchange.firstAttemptMs;
    this.sentMs = exchange.sentMs;
    this.firstByteMs = exchange.firstByteMs;
    if (this.frontend !== null) this.frontend.load.inFlight--;
  }

  /** Both connections are closed. */
  end({ code, detail, bytesToClient, bytesToBackend }: TunnelOutcome, nowMs: number): void {
    this.errorCode = code;
    this.errorDetail = detail;
    this.bytesSent += bytesToClient;
    this.tunnelBytesReceived = bytesToBackend;
    this.endMs = nowMs;
    if (this.backend !== null) this.backend.inFlight--;
    if (this.frontend !== null) this.frontend.load.tunnels--;
  }
}

/** Copies: a slice of a string keeps the whole string in memory. */
function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
