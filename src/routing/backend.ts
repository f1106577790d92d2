import { hostPort, isSocketPath } from '../base/host-port.ts';
import { RecentOutcomes } from './recent-outcomes.ts';

/** A dead mark: why a backend gets no requests, and until when. */
export interface DownMark {
  /** Epoch milliseconds at which the mark expires. */
  readonly untilMs: number;
  /** Epoch milliseconds at which it was set, as far as known. */
  readonly sinceMs: number;
  /** An error code, `status <n>`, or `health check: ` and what it showed; never free text from a client. */
  readonly reason: string;
  /** Id of the instance that set it. */
  readonly instance: string;
}

/**
 * `markSharedAt` of a mark that was reported to a program that decides on marks: it holds until that program has set a
 * mark of its own, or until it ends. Above every sequence number.
 */
export const markReported = Number.MAX_VALUE;

/**
 * One backend of one frontend, as this worker sees it. Its URL is its identity: when a record is edited, URLs that
 * remain keep their object, so that the mark and the requests in flight survive.
 */
export class Backend {
  /** As written in the record, without the settings after `#`; marks, logs and debug fields show it. */
  readonly url: string;
  /** A name, an IP address, or the absolute path of a Unix socket. */
  readonly hostname: string;
  /** 1 to 65535; 0 for a Unix socket. */
  readonly port: number;
  /** The name for the TLS handshake; null for plain connections. */
  readonly tlsName: string | null;
  /** Whether it is known to speak HTTP/2: `h2://` and `h2c://`. */
  readonly isHttp2: boolean;
  /** Position in the record, from 0: Hipache's backend id. */
  index: number;
  /** 1 to 1000, default 1. */
  weight: number;
  /** Whether it gets requests only while no backend that is none can be used. */
  isBackup: boolean;
  /** Requests of this frontend in flight to this backend, in this worker. */
  inFlight = 0;
  /**
   * Until when it drains, in epoch ms; null: it gets requests. A backend that drains gets no new ones, and is not among the
   * `backends` of its frontend, but requests may know an earlier frontend.
   */
  drainUntilMs: number | null = null;
  down: DownMark | null = null;
  /**
   * Since when it gets requests, in epoch ms: it was new in a record that this worker knew, or a mark was lifted. 0 if it
   * always did.
   */
  servesSinceMs = 0;
  /** Null until the first outcome. */
  outcomes: RecentOutcomes | null = null;
  /**
   * The route cache's sequence number at which the store acknowledged `down`: Infinity while a mark of this worker is
   * not acknowledged, 0 for a mark that came from the store, `markReported` for one that the store does not keep.
   */
  markSharedAt = 0;
  /** Used by the data plane to store per-address data here, so that requests need no lookup. */
  attachment: object | null = null;
  /** The value of the cookie that names it, and the key of that; null until it is needed. */
  cookie: { readonly key: string; readonly value: string } | null = null;

  constructor(
    url: string,
    hostname: string,
    port: number,
    index: number,
    weight: number,
    tlsName: string | null = null,
    isBackup = false,
    isHttp2 = false,
  ) {
    this.url = url;
    this.hostname = hostname;
    this.port = port;
    this.tlsName = tlsName;
    this.index = index;
    this.weight = weight;
    this.isBackup = isBackup;
    this.isHttp2 = isHttp2;
  }

  /**
   * Key of its connection pool: `hostname:port` or `unix:path`; with TLS `https://hostname:port`, and the name if it
   * differs; with HTTP/2 `h2c://` and `h2://`.
   */
  get address(): string {
    const { hostname, isHttp2, port, tlsName } = this;
    const authority = isSocketPath(hostname) ? `unix:${hostname}` : hostPort(hostname, port);
    if (tlsName === null) return isHttp2 ? `h2c://${authority}` : authority;
    const url = `${isHttp2 ? 'h2' : 'https'}://${authority}`;
    return tlsName === hostname ? url : `${url} as ${tlsName}`;
  }

  /** Counts a response or failure. @param client the address of the client. */
  countOutcome(nowMs: number, client: string, failed: boolean): void {
    this.outcomes ??= new RecentOutcomes();
    this.outcomes.count(nowMs, client, failed);
  }

  /** Whether it has a mark that has not expired. */
  isDown(nowMs: number): boolean {
    return this.down !== null && this.down.untilMs > nowMs;
  }
}

/** The Host field of a request that names none: a Unix socket has no name of its own, and so is `localhost`. */
export function hostFieldOf({ hostname, port }: Pick<Backend, 'hostname' | 'port'>): string {
  return isSocketPath(hostname) ? 'localhost' : hostPort(hostname, port);
}
