import { hostPort } from '../base/host-port.ts';

/** A dead mark: why a backend gets no requests, and until when. */
export interface DownMark {
  /** Epoch milliseconds at which the mark ends by itself. */
  readonly untilMs: number;
  /** Epoch milliseconds at which it was set, as far as is known. */
  readonly sinceMs: number;
  /** An error code or `status <n>`; never free text from a client. */
  readonly reason: string;
  /** Id of the instance that set it. */
  readonly instance: string;
}

/**
 * One backend of one frontend, as this worker sees it. Its identity is its URL: an edited record keeps the
 * object of every URL that stays, so that the mark and the requests in flight survive the edit.
 */
export class Backend {
  /** As written in the record, less a `#weight=`: what marks, logs and debug headers show. */
  readonly url: string;
  readonly hostname: string;
  /** 1 to 65535. */
  readonly port: number;
  /** The name for the TLS handshake with it; null where it is spoken to without TLS. */
  readonly tlsName: string | null;
  /** The key of its connection pool: `hostname:port`, with TLS `https://hostname:port` and the name where it differs. */
  readonly address: string;
  /** Position in the record, from 0: Hipache's backend id. */
  index: number;
  /** 1 to 1000, default 1. */
  weight: number;
  /** Requests of this frontend under way on it in this worker. */
  inFlight = 0;
  down: DownMark | null = null;
  /**
   * The route cache's sequence number at which the store acknowledged `down`: Infinity while a mark of this worker's
   * own has not been acknowledged, 0 for one that came from the store.
   */
  markSharedAt = 0;
  /** For the data plane, which keeps here what belongs to the address, so that a request need not look it up. */
  attachment: object | null = null;

  constructor(
    url: string,
    hostname: string,
    port: number,
    index: number,
    weight: number,
    tlsName: string | null = null,
  ) {
    this.url = url;
    this.hostname = hostname;
    this.port = port;
    this.tlsName = tlsName;
    const authority = hostPort(hostname, port);
    if (tlsName === null) this.address = authority;
    else this.address = tlsName === hostname ? `https://${authority}` : `https://${authority} as ${tlsName}`;
    this.index = index;
    this.weight = weight;
  }

  /** Whether a mark on it has not yet ended. */
  isDown(nowMs: number): boolean {
    return this.down !== null && this.down.untilMs > nowMs;
  }
}
