import { type LoadSummary, loadQuantileMs } from '../telemetry/load-summary.ts';
import { statusClasses } from '../telemetry/metric-table.ts';

/** The load of the fleet in one window. */
export interface ShownLoad {
  /** The end of the window: ISO 8601, UTC. */
  readonly at: string;
  /** The length of the window. */
  readonly seconds: number;
  /** That were heard of. */
  readonly instances: number;
  readonly requestsPerSecond: number;
  /** Requests a second by class of their status. */
  readonly classes: Readonly<Record<string, number>>;
  /** Requests a second that ended with an error of a backend. */
  readonly failuresPerSecond: number;
  readonly bytesPerSecond: number;
  /** Durations that half of the requests, and 99 % of them, did not exceed; null without requests. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** At the end of the window, as those below. */
  readonly tunnels: number;
  readonly requestsInFlight: number;
  readonly clientConnections: number;
  readonly residentBytes: number;
}

/** @param ask gets epoch ms, and has the windows that end later, the oldest first. @throws HipacheError INSTANCE_UNREACHABLE. */
export async function showLoad(
  ask: (afterMs: number) => Promise<readonly LoadSummary[]>,
  afterMs: number,
): Promise<{ readonly windows: readonly ShownLoad[] }> {
  return { windows: (await ask(afterMs)).map(shownLoad) };
}

function shownLoad(load: LoadSummary): ShownLoad {
  const { atMs, bytes, classes, clientConnections, failures, inFlight, instances, residentBytes, seconds, tunnels } =
    load;
  const perSecond = classes.map((count) => count / seconds);
  return {
    at: new Date(atMs).toISOString(),
    seconds,
    instances,
    requestsPerSecond: perSecond.reduce((sum, rate) => sum + rate, 0),
    classes: Object.fromEntries(statusClasses.map((name, index) => [name, perSecond[index] ?? 0])),
    failuresPerSecond: failures / seconds,
    bytesPerSecond: bytes / seconds,
    p50Ms: loadQuantileMs(load, 0.5),
    p99Ms: loadQuantileMs(load, 0.99),
    tunnels,
    requestsInFlight: inFlight,
    clientConnections,
    residentBytes,
  };
}
