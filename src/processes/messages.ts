import type { ErrorCode } from '../base/errors.ts';
import type { Config } from '../config/config.ts';

/** An address to listen on, in the order of the configuration. */
export interface ListenAddress {
  /** IPv4, IPv6 without brackets, or a host name. */
  readonly address: string;
  /** As bound: never 0. */
  readonly port: number;
  readonly secure: boolean;
  /** Whether every connection has to start with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
}

/** A bound socket that a worker has inherited. */
export interface InheritedSocket extends ListenAddress {
  readonly fd: number;
  /** Which of the addresses it is of: its index in the configuration, plain HTTP first, then TLS. */
  readonly addressIndex: number;
  /** Which of the sockets of the address it is. */
  readonly share: number;
}

/** Settings of every worker of an instance, sent at its start by structured clone over IPC. Holds secrets. */
export interface WorkerSettings {
  readonly config: Config;
  /** Id of this instance of Hipache, of all its workers. */
  readonly instance: string;
  /** State that workers share for TLS: ticket keys. Only its room knows what it is. */
  readonly tls: unknown;
}

export interface WorkerStart extends WorkerSettings {
  /** From 1 up; its replacement gets the same. */
  readonly number: number;
  readonly sockets: readonly InheritedSocket[];
  /** Shares of each address that this worker accepts from. */
  readonly shares: readonly number[];
}

export interface DrainOrder {
  readonly forMs: number;
  readonly requestsForMs?: number;
  readonly closeCode: 1001 | 1012;
}

/** A dead mark that a worker has set. */
export interface MarkReport {
  readonly pattern: string;
  /** The backend's identity. */
  readonly url: string;
  /** Epoch milliseconds. */
  readonly untilMs: number;
  readonly sinceMs: number;
  readonly reason: string;
}

/** Numbers by the name of their metric, with its label's value after a slash where it has one. */
export type MetricValues = Readonly<Record<string, number>>;

export type ToWorker =
  | { readonly kind: 'start'; readonly start: WorkerStart }
  /** Accept from these shares too: nobody else does at present. */
  | { readonly kind: 'adopt'; readonly shares: readonly number[] }
  /** The first one begins the drain; a later one gives it less time. */
  | { readonly kind: 'drain'; readonly order: DrainOrder }
  | { readonly kind: 'reopenLogs' }
  /** Another state than at the start, or than the last one told. */
  | { readonly kind: 'tls'; readonly tls: unknown }
  | { readonly kind: 'ping' };

export type FromWorker =
  | { readonly kind: 'ready' }
  /** It cannot start, for a reason that it knows. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'pong'; readonly values: MetricValues }
  /** Its last word; `clean`: nothing had to be ended. */
  | { readonly kind: 'drained'; readonly clean: boolean; readonly values: MetricValues }
  /** It has marked a backend dead. */
  | { readonly kind: 'marked'; readonly marked: MarkReport }
  /** It needs more memory than it may. */
  | { readonly kind: 'overMemory'; readonly residentBytes: number };
