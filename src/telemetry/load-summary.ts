import { errorKinds } from '../base/errors.ts';
import { quantileMs } from './host-statistics.ts';
import { dataPlaneMetrics, durationBounds, requestMetrics, statusClasses, workerMetrics } from './metric-table.ts';

/** The load of an instance, or of a fleet, in some time. */
export interface LoadSummary {
  /** Epoch ms of the end of that time. */
  readonly atMs: number;
  /** How long it was. */
  readonly seconds: number;
  readonly instances: number;
  /** Completed requests by class of their status, in the order of `statusClasses`. */
  readonly classes: readonly number[];
  /** Requests that ended with an error of a backend. */
  readonly failures: number;
  /** Requests by how long they took: the upper bound of each bucket in ms, null for the last, and its count. Only those with any. */
  readonly durations: readonly (readonly [boundMs: number | null, count: number])[];
  /** Sent to clients. */
  readonly bytes: number;
  /** At the end of the time, as all that follow. */
  readonly tunnels: number;
  readonly inFlight: number;
  readonly clientConnections: number;
  /** Of the primary and its workers. */
  readonly residentBytes: number;
}

/** Values of metrics, as `FleetMetrics.sum` gives them. */
type MetricTotals = Readonly<Record<string, number>>;

const backendCodes = [...errorKinds].filter(([, { source }]) => source === 'backend').map(([code]) => code);

/**
 * The load of an instance between two readings of its metrics.
 * @param before the earlier reading; null for everything so far.
 * @param primaryBytes resident memory of the primary.
 */
export function summarize(
  before: MetricTotals | null,
  after: MetricTotals,
  { atMs, primaryBytes, seconds }: { readonly atMs: number; readonly seconds: number; readonly primaryBytes: number },
): LoadSummary {
  const rise = (key: string): number => Math.max(0, (after[key] ?? 0) - (before?.[key] ?? 0));
  const gauge = ({ name }: { readonly name: string }): number => after[name] ?? 0;
  const bounds = [
    ...durationBounds.map((bound) => ({ key: String(bound), ms: bound * 1000 })),
    { key: '+Inf', ms: null },
  ];
  const workers = Object.entries(after).filter(([key]) => key.startsWith(`${workerMetrics.workerResidentBytes.name}/`));
  return {
    atMs,
    seconds,
    instances: 1,
    classes: statusClasses.map((name) => rise(`${requestMetrics.responses.name}/${name}`)),
    failures: backendCodes.reduce((sum, code) => sum + rise(`${requestMetrics.requestErrors.name}/${code}`), 0),
    durations: bounds
      .map(({ key, ms }) => [ms, rise(`${requestMetrics.requestDurationSeconds.name}/${key}`)] as const)
      .filter(([, count]) => count > 0),
    bytes: rise(requestMetrics.sentBytes.name),
    tunnels: gauge(dataPlaneMetrics.tunnelsOpen),
    inFlight: gauge(dataPlaneMetrics.requestsInFlight),
    clientConnections: gauge(dataPlaneMetrics.clientConnectionsOpen),
    residentBytes: workers.reduce((sum, [, bytes]) => sum + bytes, primaryBytes),
  };
}

/** The sum over instances, whose clocks and windows may differ: counts are those of `seconds`. */
export function sumLoads(atMs: number, seconds: number, loads: readonly LoadSummary[]): LoadSummary {
  const durations = new Map<number | null, number>();
  const counts = { failures: 0, bytes: 0 };
  const classes = statusClasses.map(() => 0);
  const gauges = { tunnels: 0, inFlight: 0, clientConnections: 0, residentBytes: 0, instances: 0 };
  for (const load of loads) {
    const scale = seconds / load.seconds;
    for (const [bound, count] of load.durations) durations.set(bound, (durations.get(bound) ?? 0) + count * scale);
    for (const [index, count] of load.classes.entries()) classes[index] = (classes[index] ?? 0) + count * scale;
    for (const key of ['failures', 'bytes'] as const) counts[key] += load[key] * scale;
    for (const key of ['tunnels', 'inFlight', 'clientConnections', 'residentBytes', 'instances'] as const)
      gauges[key] += load[key];
  }
  const sorted = [...durations].sort(([one], [other]) => (one ?? Infinity) - (other ?? Infinity));
  return { atMs, seconds, classes, durations: sorted, ...counts, ...gauges };
}

/** The duration in ms that a share of the requests did not exceed; null without requests. */
export function loadQuantileMs({ durations }: LoadSummary, share: number): number | null {
  // The bucket before the first with any begins at a bound that is not among them.
  const bounds = new Set(durationBounds.map((bound) => bound * 1000));
  for (const [bound] of durations) if (bound !== null) bounds.add(bound);
  const sorted = [...bounds].sort((one, other) => one - other);
  const counts = new Map(durations);
  return quantileMs(
    [...sorted, null].map((bound) => counts.get(bound) ?? 0),
    sorted,
    share,
  );
}

/** A text that other instances can read. */
export function loadText(load: LoadSummary): string {
  return JSON.stringify(load);
}

/** Null for a text that is none, as of another version. */
export function parseLoad(text: string): LoadSummary | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isLoad(value) ? value : null;
}

const numbers = [
  ...(['atMs', 'seconds', 'instances', 'failures', 'bytes'] as const),
  ...(['tunnels', 'inFlight', 'clientConnections', 'residentBytes'] as const),
];
/** More than any version has. */
const bucketsMax = 100;

function isLoad(value: unknown): value is LoadSummary {
  if (typeof value !== 'object' || value === null) return false;
  const load = value as Partial<Record<keyof LoadSummary, unknown>>;
  const { classes, durations, seconds } = load;
  return (
    numbers.every((key) => isCount(load[key])) &&
    (seconds as number) > 0 &&
    Array.isArray(classes) &&
    classes.length === statusClasses.length &&
    classes.every(isCount) &&
    Array.isArray(durations) &&
    durations.length <= bucketsMax &&
    durations.every((pair) => Array.isArray(pair) && (pair[0] === null || isCount(pair[0])) && isCount(pair[1]))
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
