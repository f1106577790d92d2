import type { Processes } from './processes.ts';

/** Where a benchmark takes place: what every proxy and every load is given. */
export interface Site {
  readonly processes: Processes;
  /** A temporary directory of its own. */
  readonly directory: string;
  /** The core of the proxy that is measured. */
  readonly proxyCore: number;
  /** The core of the load, the backends and the syslog sink. */
  readonly loadCore: number;
  /** Backends that answer alike. Every host has one of them. */
  readonly backendPorts: readonly number[];
  /** Two backends that tell themselves apart: the body is `a` and `b`. */
  readonly tellingPorts: readonly [number, number];
  /** Takes and forgets syslog messages, UDP. */
  readonly syslogPort: number;
}
