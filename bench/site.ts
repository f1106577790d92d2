import type { Processes } from './processes.ts';
import type { ProxyName } from './proxies/proxy.ts';

/** Where a benchmark takes place: what every proxy and every load is given. */
export interface Site {
  readonly processes: Processes;
  /** A temporary directory of its own. */
  readonly directory: string;
  /** Where the checkouts of Hipache are that take part. */
  readonly roots: Readonly<Partial<Record<ProxyName, string>>>;
  /** The core of the proxy that is measured. */
  readonly proxyCore: number;
  /** The core of the load, the backends and the syslog sink. */
  readonly loadCore: number;
  /** Backends that answer alike. Every host has one of them. */
  readonly backendPorts: readonly number[];
  /** Two backends that tell themselves apart: the body is `a` and `b`. */
  readonly tellingPorts: readonly [number, number];
  /** A backend of gRPC over HTTP/2 without TLS. */
  readonly grpcPort: number;
  /** Sends back what comes through a WebSocket. */
  readonly echoPort: number;
  /** The host that has it as its backend, with every proxy. */
  readonly echoHost: string;
  /** A certificate of its own for every host, ECDSA P-256, with its key: paths, PEM; `both` has the two in one. */
  readonly certificate: { readonly certificate: string; readonly key: string; readonly both: string };
  /** Takes and forgets syslog messages, UDP. */
  readonly syslogPort: number;
}
