import { errorKinds } from '../base/errors.ts';
import type { Counters } from '../proxy/counters.ts';

type MetricType = 'counter' | 'gauge' | 'histogram';

/** One metric family, as operators meet it. */
export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  /** One sentence. */
  readonly help: string;
  /** The name of its label, where it has one; the values are few and known. */
  readonly label?: string;
  /** A gauge that is not summed: one series per worker. */
  readonly perWorker?: true;
}

/** Metrics by the name that the program knows them by. */
type MetricTable = Readonly<Record<string, Metric>>;

/** Status classes of responses; `none`: the client left before there was one. */
export const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Upper bounds of the buckets of durations, in seconds. */
export const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

const restartReasons = ['crash', 'stuck', 'memory', 'reload'] as const;

/** Metrics of the data plane, by the field of its `Counters`. */
export const dataPlaneMetrics = {
  clientConnections: counter('hipache_client_connections_total', 'Connections accepted from clients.'),
  clientConnectionsOpen: gauge('hipache_client_connections_open', 'Open connections of clients.'),
  clientConnectionsRefused: counter(
    'hipache_client_connections_refused_total',
    'Connections of clients that were closed at once because limits.connectionsMax was reached.',
  ),
  acceptErrors: counter(
    'hipache_accept_errors_total',
    'Connections that the system did not hand over, usually because descriptors ran out.',
  ),
  tlsHandshakes: counter('hipache_tls_handshakes_total', 'TLS handshakes with clients that succeeded.'),
  tlsHandshakesResumed: counter(
    'hipache_tls_handshakes_resumed_total',
    'TLS handshakes with clients that resumed an earlier session.',
  ),
  tlsHandshakesFailed: counter('hipache_tls_handshakes_failed_total', 'TLS handshakes with clients that failed.'),
  requestsInFlight: gauge('hipache_requests_in_flight', 'Requests in flight.'),
  requests: counter('hipache_requests_total', 'Requests that have begun.'),
  backendConnections: counter('hipache_backend_connections_total', 'Connections made to backends.'),
  backendConnectionsOpen: gauge('hipache_backend_connections_open', 'Open connections to backends.'),
  backendConnectionsUnsolicited: counter(
    'hipache_backend_connections_unsolicited_total',
    'Idle connections to backends that were closed because the backend sent something unasked.',
  ),
  retries: counter('hipache_retries_total', 'Requests that were sent again.'),
  tunnels: counter('hipache_tunnels_total', 'Tunnels that have begun (WebSocket).'),
  tunnelsOpen: gauge('hipache_tunnels_open', 'Open tunnels.'),
  tunnelBytesFromClients: counter(
    'hipache_tunnel_bytes_from_clients_total',
    'Bytes from clients through tunnels that have ended.',
  ),
  tunnelBytesFromBackends: counter(
    'hipache_tunnel_bytes_from_backends_total',
    'Bytes from backends through tunnels that have ended.',
  ),
  internalErrors: counter(
    'hipache_internal_errors_total',
    'Exceptions and failed assertions in the data plane; each ended one connection. Please report them.',
  ),
} as const satisfies Readonly<Record<keyof Counters, Metric>>;

/** Metrics of a worker's requests. */
export const requestMetrics = {
  responses: counter(
    'hipache_responses_total',
    'Requests that have ended, by class of the status given to the client.',
    'class',
  ),
  requestErrors: counter(
    'hipache_request_errors_total',
    'Requests that ended with an error, by its code (docs/errors.md).',
    'code',
  ),
  requestDurationSeconds: {
    name: 'hipache_request_duration_seconds',
    type: 'histogram',
    help: 'From the end of the head of a request to the end of its response. Without tunnels.',
    label: 'le',
  },
  backendDurationSeconds: {
    name: 'hipache_backend_duration_seconds',
    type: 'histogram',
    help: 'From sending a request to the backend that answered to the end of its response. Without tunnels.',
    label: 'le',
  },
  sentBytes: counter('hipache_sent_bytes_total', 'Bytes written to clients, heads included; of tunnels at their end.'),
} as const satisfies MetricTable;

/** Other metrics of a worker. */
export const workerMetrics = {
  backendPools: gauge('hipache_backend_pools', 'Addresses of backends to which there are connections.'),
  backendQueueRequests: gauge(
    'hipache_backend_queue_requests',
    'Requests that wait for a connection to their backend.',
  ),
  routeCacheHits: counter('hipache_route_cache_hits_total', 'Requests whose route was in memory.'),
  routeCacheMisses: counter('hipache_route_cache_misses_total', 'Requests that had to ask the store for their route.'),
  routeCacheLoads: counter('hipache_route_cache_loads_total', 'Patterns read from the store for requests.'),
  routeCacheRefreshes: counter('hipache_route_cache_refreshes_total', 'Patterns read again since they changed.'),
  routeCacheStoreErrors: counter('hipache_route_cache_store_errors_total', 'Patterns whose reading failed.'),
  routeCacheEvictions: counter(
    'hipache_route_cache_evictions_total',
    'Patterns dropped from memory to stay within its limits.',
  ),
  routeCacheEntries: gauge(
    'hipache_route_cache_entries',
    'Patterns in memory, summed over the workers; those known to have no route too.',
  ),
  routeCacheNegativeEntries: gauge(
    'hipache_route_cache_negative_entries',
    'Patterns in memory that are known to have no route.',
  ),
  routeCacheBytes: gauge('hipache_route_cache_bytes', 'Estimated size of the route caches.'),
  routeCacheUnverified: gauge('hipache_route_cache_unverified', 'Patterns in memory that may be older than the store.'),
  deadMarks: counter('hipache_dead_marks_total', 'Marks set on backends.'),
  deadMarkErrors: counter('hipache_dead_mark_errors_total', 'Marks that the store did not take.'),
  deadMarksDropped: counter('hipache_dead_marks_dropped_total', 'Marks not shared since too many waited.'),
  certificates: gauge('hipache_certificates', 'Certificates chosen by SNI that are kept ready.'),
  certificateLoads: counter('hipache_certificate_loads_total', 'Certificates that were loaded.'),
  certificateProblems: counter(
    'hipache_certificate_problems_total',
    'Certificates that could not be used or looked up.',
  ),
  accessLogDroppedLines: counter(
    'hipache_access_log_dropped_lines_total',
    'Lines of the access log that were dropped.',
  ),
  storeRevision: perWorker(
    'hipache_store_revision',
    'Revision of the store up to which this worker serves what was written; 0 where the store has none.',
  ),
  storeConnected: perWorker('hipache_store_connected', '1 while the store tells this worker of changes, else 0.'),
  storeUnverifiedSeconds: perWorker(
    'hipache_store_unverified_seconds',
    'How long the store has not told this worker of changes; 0 while it does.',
  ),
  workerResidentBytes: perWorker('hipache_worker_resident_bytes', 'Resident memory of the worker.'),
  workerEventLoopDelaySeconds: perWorker(
    'hipache_worker_event_loop_delay_seconds',
    'Longest delay of its event loop since the last look, at least 5 s ago.',
  ),
} as const satisfies MetricTable;

/** Every metric of a worker, in the order in which they are shown. */
export const fleetMetrics: readonly Metric[] = [dataPlaneMetrics, requestMetrics, workerMetrics].flatMap(
  (table: MetricTable) => Object.values(table),
);

/** Metrics of the primary. */
export const primaryMetrics = {
  buildInfo: gauge('hipache_build_info', 'Always 1; the version is in the label.', 'version'),
  startTimeSeconds: gauge('hipache_start_time_seconds', 'When the primary started, in seconds since the epoch.'),
  primaryResidentBytes: gauge('hipache_primary_resident_bytes', 'Resident memory of the primary.'),
  workers: gauge('hipache_workers', 'Workers that are to serve.'),
  workersReady: gauge('hipache_workers_ready', 'Workers that serve.'),
  workersDraining: gauge('hipache_workers_draining', 'Workers that have been replaced and finish what is under way.'),
  workersUnresponsive: gauge(
    'hipache_workers_unresponsive',
    'Workers that did not answer this request for metrics in time; their last totals count.',
  ),
  backendsProbed: gauge(
    'hipache_backends_probed',
    'Marked backends that this instance asks whether they have recovered.',
  ),
  recoveryProbes: counter('hipache_recovery_probes_total', 'Times that a marked backend was asked.'),
  recoveredBackends: counter(
    'hipache_recovered_backends_total',
    'Marks lifted since their backend had recovered, one a host pattern.',
  ),
  recoveryMarksDropped: counter(
    'hipache_recovery_marks_dropped_total',
    'Marks that end by themselves only, since too many are probed.',
  ),
  workerRestarts: counter('hipache_worker_restarts_total', 'Workers that were replaced, by reason.', 'reason'),
} as const satisfies MetricTable;

/** The values of a table's metrics, by their names. Has to be given one for each. */
export function namedValues<Table extends MetricTable>(
  table: Table,
  values: Readonly<Record<keyof Table, number>>,
): Record<string, number> {
  const named: Record<string, number> = {};
  for (const [field, { name }] of Object.entries(table)) named[name] = values[field as keyof Table];
  return named;
}

/** The labels that a metric has from the start, so that the first event is not missed by a rate. */
export const labelValues: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  [requestMetrics.responses.name, statusClasses],
  [
    requestMetrics.requestErrors.name,
    [...errorKinds].filter(([, { endsRequests }]) => endsRequests).map(([code]) => code),
  ],
  [primaryMetrics.workerRestarts.name, restartReasons],
]);

function counter(name: string, help: string, label?: string): Metric {
  return label === undefined ? { name, type: 'counter', help } : { name, type: 'counter', help, label };
}

function gauge(name: string, help: string, label?: string): Metric {
  return label === undefined ? { name, type: 'gauge', help } : { name, type: 'gauge', help, label };
}

function perWorker(name: string, help: string): Metric {
  return { name, type: 'gauge', help, label: 'worker', perWorker: true };
}
