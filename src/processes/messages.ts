import type { ErrorCode } from '../base/errors.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { HostDrain } from '../base/host-drain.ts';
import type { QuestionSubject } from '../base/instance-question.ts';
import type { Config } from '../config/config.ts';

/** An address to listen on. Lists of them are in the order of the configuration. */
export interface ListenAddress {
  /** IPv4, IPv6 without brackets, or a host name. */
  readonly address: string;
  /** The actual port: never 0. */
  readonly port: number;
  readonly secure: boolean;
  /** Whether every connection must start with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  /** Whether a client that has only closed its sending side still gets its response. */
  readonly halfClose: boolean;
  /** Those that clients may speak, by their names in ALPN, the preferred one first. */
  readonly protocols: readonly string[];
}

/** An address and its port, whatever else a configuration says of it. */
export type ListenPlace = string;

export function placeOf({ address, port }: Pick<ListenAddress, 'address' | 'port'>): ListenPlace {
  return `${address} ${port}`;
}

/** A bound socket that a worker has inherited. */
export interface InheritedSocket extends ListenAddress {
  readonly fd: number;
  /** Index of its address in the configuration: plain HTTP first, then TLS. */
  readonly addressIndex: number;
  /** Index among the sockets of its address. */
  readonly share: number;
}

/** Settings of every worker of an instance, sent at its start over IPC by structured clone. They contain secrets. */
export interface WorkerSettings {
  readonly config: Config;
  /** Id of this Hipache instance, shared by all its workers. */
  readonly instance: string;
  /** TLS state that workers share, such as ticket keys. Only the tls room knows its type. */
  readonly tls: unknown;
}

export interface WorkerStart extends WorkerSettings {
  /** Whether the instance has read records of the store. An empty store is then not the one that it serves from. */
  readonly knowsRecords: boolean;
  /** Whether known routes are served that the store does not have. */
  readonly holdsRoutes: boolean;
  /** From 1; a replacement gets the same number. */
  readonly number: number;
  readonly sockets: readonly InheritedSocket[];
  readonly place: WorkerPlace;
  /** How many instances share the store. */
  readonly instances: number;
}

/** The place of a worker among those of its plan. It decides from which sockets of an address the worker accepts. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number;
  readonly workers: number;
}

export interface DrainOrder {
  readonly forMs: number;
  readonly requestsForMs?: number;
  readonly closeCode: 1001 | 1012;
}

/** A dead mark set by a worker. */
export interface MarkReport {
  readonly pattern: string;
  /** The backend's identity. */
  readonly url: string;
  /** Epoch milliseconds. */
  readonly untilMs: number;
  readonly sinceMs: number;
  readonly reason: string;
}

/** A record of the store by its key: its text, which only the route cache knows. It may be secret, and is empty if it has changed. */
export type RecordText = readonly [key: string, text: string];

/** Values by metric name, followed by a slash and the label's value if the metric has a label. */
export type MetricValues = Readonly<Record<string, number>>;

/** The state of a worker, which it reports when it is asked. */
export interface WorkerReport {
  /** Empty until it serves. */
  readonly values: MetricValues;
  readonly drains: readonly HostDrain[];
}

/** Tokens that a worker has taken from a bucket: `BucketUse` of `limits/`. */
export type TokenUse = readonly [key: string, taken: number, perSecond: number, burst: number];

export type ToWorker =
  | { readonly kind: 'start'; readonly start: WorkerStart }
  /** Accept in this place too: nobody else does at present. */
  | { readonly kind: 'adopt'; readonly place: WorkerPlace }
  /** Close the sockets from which this worker does not accept, except those at these places: others will accept there. */
  | { readonly kind: 'release'; readonly kept: readonly ListenPlace[] }
  /** The first order starts the drain; a later one shortens it. */
  | { readonly kind: 'drain'; readonly order: DrainOrder }
  | { readonly kind: 'reopenLogs' }
  /** The TLS state has changed. */
  | { readonly kind: 'tls'; readonly tls: unknown }
  /** Records of the store that workers of the instance have read, asked for by `recall`. */
  | { readonly kind: 'known'; readonly records: readonly RecordText[]; readonly isLast: boolean }
  /** Nobody learns of changes of these records any more: read them. */
  | { readonly kind: 'verify'; readonly keys: readonly string[] }
  /** From now on, known routes are served that the store does not have; or not any more. */
  | { readonly kind: 'hold'; readonly holdsRoutes: boolean }
  /** The reply to `askGuard`: absent routes were removed, unless `hold` has come. */
  | { readonly kind: 'judged' }
  /** Tokens that another worker of the instance has taken. */
  | { readonly kind: 'uses'; readonly uses: readonly TokenUse[] }
  /** How many instances share the store. */
  | { readonly kind: 'fleet'; readonly instances: number }
  /** The primary has looked after the certificate of a name: there is one now, or there will be none soon. */
  | { readonly kind: 'certificateLooked'; readonly name: string }
  /** A question of an operator, which the worker answers with `answer`. Only the program's faces know its form. */
  | { readonly kind: 'ask'; readonly id: number; readonly subject: QuestionSubject; readonly question: unknown }
  | { readonly kind: 'ping' };

export type FromWorker =
  | { readonly kind: 'ready' }
  /** The reply to `release`. */
  | { readonly kind: 'released' }
  /** The worker cannot start, for a known reason. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'pong'; readonly report: WorkerReport }
  /** The last message. `clean`: the worker did not have to abort anything. */
  | { readonly kind: 'drained'; readonly clean: boolean; readonly report: WorkerReport }
  /** The worker has marked a backend dead. */
  | { readonly kind: 'marked'; readonly marked: MarkReport }
  /** The worker serves hosts of these patterns, whose options want health checks. A pattern comes again and again. */
  | { readonly kind: 'checked'; readonly patterns: readonly string[] }
  /** The worker has read these records of the store. */
  | { readonly kind: 'read'; readonly records: readonly RecordText[] }
  /** The worker cannot reach the store, and asks for the records that others have read. */
  | { readonly kind: 'recall' }
  /** The worker does not find routes that it serves, and asks whether the store was wiped. */
  | { readonly kind: 'askGuard' }
  /** The worker has taken these tokens, which the others count as well. */
  | { readonly kind: 'uses'; readonly uses: readonly TokenUse[] }
  /** The answer to `ask`; null if the worker cannot tell. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  /** Requests of a host wait for a backend. */
  | { readonly kind: 'asleep'; readonly pattern: string; readonly target: HookTarget }
  /** A backend of a host that was asleep is there. */
  | { readonly kind: 'awake'; readonly pattern: string }
  /** The worker has served these hosts, whose platforms want to know when they are idle. */
  | { readonly kind: 'used'; readonly hosts: readonly UsedHost[] }
  /** A client waits for the certificate of a name, whose host wants one to be ordered. */
  | { readonly kind: 'certificateWanted'; readonly name: string; readonly address: string }
  /** The worker exceeds its memory limit. */
  | { readonly kind: 'overMemory'; readonly residentBytes: number };
