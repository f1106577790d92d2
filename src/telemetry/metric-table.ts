import { type ErrorCode, type ErrorSource, errorKinds } from '../base/errors.ts';

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

/** Status classes of responses; `none`: the client left before there was one. */
export const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Upper bounds of the buckets of durations, in seconds. */
export const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

const restartReasons = ['crash', 'stuck', 'memory', 'reload'] as const;

const openFields = /(?:Open|InFlight)$/;

/** What the data plane counts, by the field of its `Counters`. */
export const dataPlaneHelp: Readonly<Record<string, string>> = {
  clientConnections: 'Connections accepted from clients.',
  clientConnectionsOpen: 'Connections of clients that are open.',
  clientConnectionsRefused: 'Connections of clients that were closed at once: limits.connectionsMax was reached.',
  acceptErrors: 'Connections that the system would not give, as a rule for want of descriptors.',
  tlsHandshakes: 'TLS handshakes with clients that succeeded.',
  tlsHandshakesResumed: 'Of which resumed an earlier session.',
  tlsHandshakesFailed: 'TLS handshakes with clients that failed.',
  requestsInFlight: 'Requests under way.',
  requests: 'Requests begun.',
  backendConnections: 'Connections made to backends.',
  backendConnectionsOpen: 'Connections to backends that are open.',
  backendConnectionsUnsolicited: 'Idle connections to backends that were closed since something came on them unasked.',
  retries: 'Requests that were sent again.',
  tunnels: 'Tunnels begun (WebSocket).',
  tunnelsOpen: 'Tunnels that are open.',
  tunnelBytesFromClients: 'Bytes from clients through tunnels that have ended.',
  tunnelBytesFromBackends: 'Bytes from backends through tunnels that have ended.',
};

/** The metric of a field of the data plane's counters. A field without help gets one that says nothing. */
export function dataPlaneMetric(field: string): Metric {
  const isGauge = openFields.test(field);
  const name = `hipache_${snakeCase(field)}${isGauge ? '' : '_total'}`;
  return { name, type: isGauge ? 'gauge' : 'counter', help: dataPlaneHelp[field] ?? `${field} of the data plane.` };
}

/** What a worker tells of beside the counters of its data plane. */
export const workerMetrics: readonly Metric[] = [
  counter('hipache_responses_total', 'Requests that have ended, by class of the status given to the client.', 'class'),
  counter('hipache_request_errors_total', 'Requests that ended with an error, by its code (docs/errors.md).', 'code'),
  {
    name: 'hipache_request_duration_seconds',
    type: 'histogram',
    help: 'From the end of the head of a request to the end of its response. Without tunnels.',
    label: 'le',
  },
  {
    name: 'hipache_backend_duration_seconds',
    type: 'histogram',
    help: 'From sending a request to the backend that answered to the end of its response. Without tunnels.',
    label: 'le',
  },
  counter('hipache_sent_bytes_total', 'Bytes written to clients, heads included; of tunnels at their end.'),
  gauge('hipache_backend_pools', 'Addresses of backends to which there are connections.'),
  gauge('hipache_backend_queue_requests', 'Requests that wait for a connection to their backend.'),
  counter('hipache_route_cache_hits_total', 'Requests whose route was in memory.'),
  counter('hipache_route_cache_misses_total', 'Requests that had to ask the store for their route.'),
  counter('hipache_route_cache_loads_total', 'Patterns read from the store for requests.'),
  counter('hipache_route_cache_refreshes_total', 'Patterns read again since they changed.'),
  counter('hipache_route_cache_store_errors_total', 'Patterns whose reading failed.'),
  counter('hipache_route_cache_evictions_total', 'Patterns dropped from memory to stay within its limits.'),
  gauge(
    'hipache_route_cache_entries',
    'Patterns in memory, summed over the workers; those known to have no route too.',
  ),
  gauge('hipache_route_cache_negative_entries', 'Patterns in memory that are known to have no route.'),
  gauge('hipache_route_cache_bytes', 'Estimated size of the route caches.'),
  gauge('hipache_route_cache_unverified', 'Patterns in memory that may be older than the store.'),
  counter('hipache_dead_marks_total', 'Marks set on backends.'),
  counter('hipache_dead_mark_errors_total', 'Marks that the store did not take.'),
  counter('hipache_dead_marks_dropped_total', 'Marks not shared since too many waited.'),
  gauge('hipache_certificates', 'Certificates chosen by SNI that are kept ready.'),
  counter('hipache_certificate_loads_total', 'Certificates that were loaded.'),
  counter('hipache_certificate_problems_total', 'Certificates that could not be used or looked up.'),
  counter('hipache_access_log_dropped_lines_total', 'Lines of the access log that were dropped.'),
  perWorker(
    'hipache_store_revision',
    'Revision of the store up to which this worker serves what was written; 0 where the store has none.',
  ),
  perWorker('hipache_store_connected', '1 while the store tells this worker of changes, else 0.'),
  perWorker(
    'hipache_store_unverified_seconds',
    'How long the store has not told this worker of changes; 0 while it does.',
  ),
  perWorker('hipache_worker_resident_bytes', 'Resident memory of the worker.'),
  perWorker(
    'hipache_worker_event_loop_delay_seconds',
    'Longest delay of its event loop since the last look, at least 5 s ago.',
  ),
];

/** What the primary knows by itself. */
export const primaryMetrics: readonly Metric[] = [
  gauge('hipache_build_info', 'Always 1; the version is in the label.', 'version'),
  gauge('hipache_start_time_seconds', 'When the primary started, in seconds since the epoch.'),
  gauge('hipache_primary_resident_bytes', 'Resident memory of the primary.'),
  gauge('hipache_workers', 'Workers that are to serve.'),
  gauge('hipache_workers_ready', 'Workers that serve.'),
  gauge('hipache_workers_draining', 'Workers that have been replaced and finish what is under way.'),
  gauge(
    'hipache_workers_unresponsive',
    'Workers that did not answer this request for metrics in time; their last totals count.',
  ),
  gauge('hipache_backends_probed', 'Marked backends that this instance asks whether they have recovered.'),
  counter('hipache_recovery_probes_total', 'Times that a marked backend was asked.'),
  counter('hipache_recovered_backends_total', 'Marks lifted since their backend had recovered, one a host pattern.'),
  counter('hipache_recovery_marks_dropped_total', 'Marks that end by themselves only, since too many are probed.'),
  counter('hipache_worker_restarts_total', 'Workers that were replaced, by reason.', 'reason'),
];

/** The labels that a metric has from the start, so that the first event is not missed by a rate. */
export const labelValues: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['hipache_responses_total', statusClasses],
  [
    'hipache_request_errors_total',
    [...errorKinds].filter(([code, { source }]) => isOfRequests(code, source)).map(([code]) => code),
  ],
  ['hipache_worker_restarts_total', restartReasons],
]);

/** Codes that a request can end with. */
function isOfRequests(code: ErrorCode, source: ErrorSource): boolean {
  return (
    source === 'client' ||
    source === 'backend' ||
    code === 'STORE_UNAVAILABLE' ||
    code === 'OVERLOADED' ||
    code === 'TUNNEL_DRAINED'
  );
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

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
