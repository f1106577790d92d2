import { errorKinds } from '../base/errors.ts';
import type { Counters } from '../proxy/counters.ts';

type MetricType = 'counter' | 'gauge' | 'histogram';

/** One metric family, as operators see it. */
export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  /** One sentence. */
  readonly help: string;
  /** The name of its label, if it has one; the label has few, known values, unless `isTop`. */
  readonly label?: string;
  /** Only the values of the label with the most have series of their own; `(other)` sums up the rest. */
  readonly isTop?: true;
  /** A gauge that is not summed, but has one series per worker. */
  readonly perWorker?: true;
}

/** Metrics by their name in the program. */
type MetricTable = Readonly<Record<string, Metric>>;

/** Status classes of responses; `none`: the client left before there was a status. */
export const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Upper bounds of the duration buckets, in seconds. */
export const durationBounds = [
  ...[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60],
] as const;

const restartReasons = ['crash', 'stuck', 'memory', 'reload'] as const;

/** Metrics of the data plane, by field of `Counters`. */
export const dataPlaneMetrics = {
  clientConnections: counter('hipache_client_connections_total', 'Connections accepted from clients.'),
  clientConnectionsOpen: gauge('hipache_client_connections_open', 'Open client connections.'),
  clientConnectionsRefused: counter(
    'hipache_client_connections_refused_total',
    'Client connections closed at once because limits.connectionsMax or the descriptors of the process were reached.',
  ),
  clientConnectionsUnknown: counter(
    'hipache_client_connections_unknown_total',
    'Client connections closed unread because the client had already reset them, so that its address was unknown.',
  ),
  idleConnectionsClosed: counter(
    'hipache_idle_connections_closed_total',
    'Idle connections of backends and clients closed because no descriptor was left for another one.',
  ),
  acceptErrors: counter(
    'hipache_accept_errors_total',
    'Connections that the kernel failed to hand over, usually because descriptors ran out.',
  ),
  tlsHandshakes: counter('hipache_tls_handshakes_total', 'Successful TLS handshakes with clients.'),
  tlsHandshakesResumed: counter(
    'hipache_tls_handshakes_resumed_total',
    'TLS handshakes with clients that resumed an earlier session.',
  ),
  tlsHandshakesFailed: counter('hipache_tls_handshakes_failed_total', 'Failed TLS handshakes with clients.'),
  requestsInFlight: gauge('hipache_requests_in_flight', 'Requests in flight.'),
  requests: counter('hipache_requests_total', 'Requests received.'),
  requestsWaiting: gauge(
    'hipache_requests_waiting',
    'Requests that wait for a backend of their host, or for a place among those in progress.',
  ),
  backendConnections: counter('hipache_backend_connections_total', 'Connections made to backends.'),
  backendConnectionsOpen: gauge('hipache_backend_connections_open', 'Open connections to backends.'),
  webConnectionsOpen: gauge(
    'hipache_web_connections_open',
    'Open connections for requests of the proxy itself, such as those to auth servers.',
  ),
  backendConnectionsUnsolicited: counter(
    'hipache_backend_connections_unsolicited_total',
    'Idle backend connections closed because the backend sent something unsolicited.',
  ),
  retries: counter('hipache_retries_total', 'Attempts to send a request again.'),
  tunnels: counter('hipache_tunnels_total', 'WebSocket tunnels opened.'),
  tunnelsOpen: gauge('hipache_tunnels_open', 'Open tunnels.'),
  tunnelsDrained: counter('hipache_tunnels_drained_total', 'Tunnels ended because the proxy or their backend drained.'),
  requestsDrained: counter('hipache_requests_drained_total', 'Requests ended because their backend drained.'),
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
    'Exceptions and failed assertions in a worker; each ended the connection or the reading that it concerned. Please report them.',
  ),
} as const satisfies Readonly<Record<keyof Counters, Metric>>;

/** Metrics of a worker's requests. */
export const requestMetrics = {
  responses: counter(
    'hipache_responses_total',
    'Completed requests, by class of the status sent to the client.',
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
    help: 'Time from the end of a request head to the end of its response. Without tunnels.',
    label: 'le',
  },
  backendDurationSeconds: {
    name: 'hipache_backend_duration_seconds',
    type: 'histogram',
    help: 'Time from the last sending of a request to a backend to the end of the response. Without tunnels.',
    label: 'le',
  },
  sentBytes: counter(
    'hipache_sent_bytes_total',
    'Bytes written to clients, heads included; those of tunnels are added when they end.',
  ),
} as const satisfies MetricTable;

/** Metrics of the hosts and backends with the most traffic. */
export const trafficMetrics = {
  hostRequests: topCounter('hipache_host_requests_total', 'Completed requests of a host pattern.', 'host'),
  hostErrors: topCounter(
    'hipache_host_errors_total',
    'Requests of a host pattern that ended with a status of 500 or above, or with an error of the backend.',
    'host',
  ),
  hostSentBytes: topCounter('hipache_host_sent_bytes_total', 'Bytes written to clients of a host pattern.', 'host'),
  backendRequests: topCounter('hipache_backend_requests_total', 'Responses of a backend, tunnels included.', 'backend'),
  backendErrors: topCounter(
    'hipache_backend_errors_total',
    'Attempts at a backend that failed, and responses with a status of 500 or above.',
    'backend',
  ),
} as const satisfies MetricTable;

/** Other metrics of a worker. */
export const workerMetrics = {
  connectionsMax: gauge(
    'hipache_connections_max',
    'Connections of clients and backends for which the workers have descriptors (ulimit -n); a tunnel has two. +Inf if the limit is unknown.',
  ),
  backendPools: gauge('hipache_backend_pools', 'Backend addresses with connections.'),
  backendsDraining: gauge('hipache_backends_draining_in_flight', 'Requests and tunnels at backends that drain.'),
  backendQueueRequests: gauge('hipache_backend_queue_requests', 'Requests queued for a connection to their backend.'),
  rateBuckets: gauge('hipache_rate_buckets', 'Clients, hosts and headers whose rate of requests is measured.'),
  nameLookups: counter('hipache_name_lookups_total', 'Lookups of names of backends.'),
  nameLookupFailures: counter('hipache_name_lookup_failures_total', 'Lookups of names of backends that failed.'),
  nameLookupsRejected: counter(
    'hipache_name_lookups_rejected_total',
    'Lookups of names of backends that were refused because too many were in progress, waiting or in use.',
  ),
  nameLookupsInFlight: gauge('hipache_name_lookups_in_flight', 'Lookups of names of backends in progress.'),
  names: gauge('hipache_names', 'Names of backends whose addresses are remembered.'),
  routeCacheHits: counter('hipache_route_cache_hits_total', 'Requests whose route was in memory.'),
  routeCacheMisses: counter('hipache_route_cache_misses_total', 'Requests whose route had to be read from the store.'),
  routeCacheLoads: counter('hipache_route_cache_loads_total', 'Patterns read from the store for requests.'),
  routeCacheRefreshes: counter('hipache_route_cache_refreshes_total', 'Patterns read again because they changed.'),
  routeCacheUnchanged: counter(
    'hipache_route_cache_unchanged_total',
    'Patterns read again although their record had not changed; a store whose table of watched records is full causes many.',
  ),
  routeCacheStoreErrors: counter('hipache_route_cache_store_errors_total', 'Patterns that could not be read.'),
  routeCacheEvictions: counter(
    'hipache_route_cache_evictions_total',
    'Patterns dropped from memory to stay within its limits.',
  ),
  routeCacheEntries: gauge(
    'hipache_route_cache_entries',
    'Patterns in memory, including those known to have no route, summed over the workers.',
  ),
  routeCacheNegativeEntries: gauge(
    'hipache_route_cache_negative_entries',
    'Patterns in memory that are known to have no route.',
  ),
  recordProblems: counter(
    'hipache_record_problems_total',
    'Parts of records of hosts that cannot be used, such as a backend or an option; each is skipped, and logged once.',
  ),
  routeCacheBytes: gauge('hipache_route_cache_bytes', 'Estimated size of the route caches.'),
  routeCacheUnverified: gauge('hipache_route_cache_unverified', 'Patterns in memory that may be older than the store.'),
  deadMarks: counter('hipache_dead_marks_total', 'Marks set on backends.'),
  deadMarkErrors: counter('hipache_dead_mark_errors_total', 'Marks that the store did not accept.'),
  deadMarksDropped: counter('hipache_dead_marks_dropped_total', 'Marks not shared because too many were waiting.'),
  certificates: gauge('hipache_certificates', 'Certificates chosen by SNI that are kept in memory.'),
  certificateContexts: gauge('hipache_certificate_contexts', 'Those of them that are ready to use.'),
  certificateBytes: gauge('hipache_certificate_bytes', 'Estimated memory of these certificates.'),
  certificateEvictions: counter(
    'hipache_certificate_evictions_total',
    'Certificates dropped from memory to make room for others.',
  ),
  certificateLookups: counter('hipache_certificate_lookups_total', 'Names whose certificates were looked up.'),
  certificateLookupsRejected: counter(
    'hipache_certificate_lookups_rejected_total',
    'Names whose certificates were not looked up, because too many others were.',
  ),
  certificateLoads: counter('hipache_certificate_loads_total', 'Certificates loaded.'),
  certificatesAwaited: gauge(
    'hipache_certificates_awaited',
    'Names without a certificate whose handshakes wait until one is ordered.',
  ),
  certificateSoonestExpiry: perWorker(
    'hipache_certificate_soonest_expiry_timestamp_seconds',
    'End of the certificate that ends first, of those that a worker keeps for names; +Inf if it keeps none.',
  ),
  certificateProblems: counter(
    'hipache_certificate_problems_total',
    'Certificates that could not be used or looked up.',
  ),
  accessLogDroppedLines: counter('hipache_access_log_dropped_lines_total', 'Access log lines dropped.'),
  storeRevision: perWorker(
    'hipache_store_revision',
    'Revision of the store that this worker has applied; 0 if the store has none.',
  ),
  storeConnected: perWorker('hipache_store_connected', '1 while the store notifies this worker of changes, else 0.'),
  storeUnverifiedSeconds: perWorker(
    'hipache_store_unverified_seconds',
    'How old what this worker serves may be: the time without notifications of changes; 0 while it gets them.',
  ),
  routesHeld: perWorker(
    'hipache_routes_held',
    'Routes that this worker serves although the store does not have them any more.',
  ),
  workerResidentBytes: perWorker('hipache_worker_resident_bytes', 'Resident memory of the worker.'),
  workerEventLoopDelaySeconds: perWorker(
    'hipache_worker_event_loop_delay_seconds',
    'Longest event loop delay since the previous measurement, at least 5 s ago.',
  ),
} as const satisfies MetricTable;

/** Every metric of a worker, in the order of the output. */
export const fleetMetrics: readonly Metric[] = [
  dataPlaneMetrics,
  requestMetrics,
  trafficMetrics,
  workerMetrics,
].flatMap((table: MetricTable) => Object.values(table));

/** Metrics of the primary. */
export const primaryMetrics = {
  buildInfo: gauge('hipache_build_info', 'Always 1; the label has the version.', 'version'),
  startTimeSeconds: gauge('hipache_start_time_seconds', 'When the primary started, in seconds since the epoch.'),
  primaryResidentBytes: gauge('hipache_primary_resident_bytes', 'Resident memory of the primary.'),
  workers: gauge('hipache_workers', 'Workers that should serve.'),
  workersReady: gauge('hipache_workers_ready', 'Workers that serve.'),
  workersDraining: gauge('hipache_workers_draining', 'Replaced workers that finish active requests and tunnels.'),
  workersUnresponsive: gauge(
    'hipache_workers_unresponsive',
    'Workers that did not respond to this scrape in time; their last totals count.',
  ),
  fleetInstances: gauge('hipache_fleet_instances', 'Instances that share the store, which share rates of requests.'),
  sharedRecords: gauge(
    'hipache_shared_records',
    'Routes and certificates that the primary keeps for workers that cannot reach the store.',
  ),
  sharedRecordBytes: gauge('hipache_shared_record_bytes', 'Estimated size of these.'),
  sharedRecordsUnverified: gauge(
    'hipache_shared_records_unverified',
    'Those among them whose worker has gone, and that no other worker has read again yet.',
  ),
  snapshotUnwrittenSeconds: gauge(
    'hipache_snapshot_unwritten_seconds',
    'How long changes of routes have waited for the snapshot, whose file cannot be written; 0 without a snapshot.',
  ),
  wipeGuardRaised: gauge(
    'hipache_wipe_guard_raised',
    '1 while the store does not have most of the known routes any more, and they are still served; else 0.',
  ),
  backendsProbed: gauge('hipache_backends_probed', 'Marked backends that this instance probes for recovery.'),
  recoveryProbes: counter('hipache_recovery_probes_total', 'Probes of marked backends.'),
  recoveredBackends: counter(
    'hipache_recovered_backends_total',
    'Marks removed because their backend had recovered, one per host pattern.',
  ),
  recoveryMarksDropped: counter(
    'hipache_recovery_marks_dropped_total',
    'Marks that only expire, because too many backends are being probed.',
  ),
  backendsChecked: gauge('hipache_backends_checked', 'Backends with regular health checks by this instance.'),
  backendsFailing: gauge('hipache_backends_failing', 'Those among them that fail their checks.'),
  healthChecks: counter('hipache_health_checks_total', 'Regular health checks of backends, by result.', 'result'),
  healthTransitions: counter(
    'hipache_health_transitions_total',
    'Backends that began to fail their health checks (down), or to pass them again (up).',
    'to',
  ),
  healthChecksDropped: counter(
    'hipache_health_checks_dropped_total',
    'Backends, and reports of hosts, that were not taken into the health checks because there are too many.',
  ),
  platformEvents: counter(
    'hipache_platform_events_total',
    'Events for platforms (options wake and idleAfter): sent, failed attempts, dropped because of too many hosts.',
    'result',
  ),
  certificateOrders: counter(
    'hipache_certificate_orders_total',
    'Orders of certificates by this instance: begun at an authority, issued, failed; checkFailed: not begun, because the name does not point here.',
    'result',
  ),
  certificateOrdersLeft: gauge(
    'hipache_certificate_orders_left',
    'Orders of first certificates that the fleet may still begin in this hour (acme.ordersPerHourMax), as the instance read it some seconds ago. Missing if nothing is ordered.',
  ),
  workerRestarts: counter('hipache_worker_restarts_total', 'Workers that were replaced, by reason.', 'reason'),
} as const satisfies MetricTable;

/** The values of a table's metrics by metric name. Requires a value for each metric. */
export function namedValues<Table extends MetricTable>(
  table: Table,
  values: Readonly<Record<keyof Table, number>>,
): Record<string, number> {
  const named: Record<string, number> = {};
  for (const [field, { name }] of Object.entries(table)) named[name] = values[field as keyof Table];
  return named;
}

/** Label values that exist from the start, so that `rate` does not miss the first event. */
export const labelValues: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  [requestMetrics.responses.name, statusClasses],
  [
    requestMetrics.requestErrors.name,
    [...errorKinds].filter(([, { endsRequests }]) => endsRequests).map(([code]) => code),
  ],
  [primaryMetrics.workerRestarts.name, restartReasons],
  [primaryMetrics.healthChecks.name, ['success', 'failure']],
  [primaryMetrics.healthTransitions.name, ['down', 'up']],
  [primaryMetrics.platformEvents.name, ['sent', 'failed', 'dropped']],
  [primaryMetrics.certificateOrders.name, ['begun', 'issued', 'failed']],
]);

function topCounter(name: string, help: string, label: string): Metric {
  return { name, type: 'counter', help, label, isTop: true };
}

function counter(name: string, help: string, label?: string): Metric {
  return label === undefined ? { name, type: 'counter', help } : { name, type: 'counter', help, label };
}

function gauge(name: string, help: string, label?: string): Metric {
  return label === undefined ? { name, type: 'gauge', help } : { name, type: 'gauge', help, label };
}

function perWorker(name: string, help: string): Metric {
  return { name, type: 'gauge', help, label: 'worker', perWorker: true };
}
