import { medianOf, type Result, valuesOf } from './result.ts';
import type { Metric } from './sample.ts';

/** A figure to reach: at most this. */
interface Target {
  readonly what: string;
  readonly atMost: number;
  readonly unit: string;
  /** null where the run has not measured it. */
  measured(result: Result): number | null;
}

export interface Reached {
  readonly what: string;
  readonly atMost: number;
  readonly unit: string;
  readonly value: number;
  readonly reached: boolean;
}

const targets: readonly Target[] = [
  {
    what: 'CPU per request, small answers, against HAProxy',
    atMost: 1.3,
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'cpuUsPerRequest', 'haproxy'),
  },
  {
    what: 'CPU per request, small answers, against nginx',
    atMost: 1.7,
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'cpuUsPerRequest', 'nginx'),
  },
  {
    what: "p99 at half of Hipache's peak rate, against HAProxy at the same rate",
    atMost: 2,
    unit: 'x',
    measured: (result) => (hasSameRate(result) ? ratio(result, 'latency', 'p99Us', 'haproxy') : null),
  },
  {
    what: 'CPU per request over 100,000 hosts, against 10 hosts',
    atMost: 1.2,
    unit: 'x',
    measured: (result) =>
      over(hipache(result, 'hosts-100k', 'cpuUsPerRequest'), hipache(result, 'hosts-10', 'cpuUsPerRequest')),
  },
  {
    what: 'requests failed on hosts that were not changed, at 500 route changes a second',
    atMost: 0,
    unit: '',
    measured: (result) => sum(valuesOf(result, 'changes-500', 'hipache', 'failed')),
  },
  {
    what: 'CPU per request with TLS 1.3 on kept connections, against HAProxy',
    atMost: 2,
    unit: 'x',
    measured: (result) => ratio(result, 'tls', 'cpuUsPerRequest', 'haproxy'),
  },
  {
    what: 'RSS per idle tunnel, 9,000 of them',
    atMost: 9,
    unit: 'KB',
    measured: (result) => toKb(hipache(result, 'tunnels', 'rssKibPerTunnel')),
  },
  {
    what: 'CPU per message through a WebSocket, against HAProxy',
    atMost: 1.5,
    unit: 'x',
    measured: (result) => ratio(result, 'echo', 'cpuUsPerRequest', 'haproxy'),
  },
  {
    what: 'written to served on every worker of two instances, p99 at 500 changes a second in Redis',
    atMost: 10,
    unit: 'ms',
    measured: (result) => hipache(result, 'fleet-changes', 'liveP99Ms'),
  },
  {
    what: 'requests failed and tunnels closed on hosts that were not changed, during that',
    atMost: 0,
    unit: '',
    measured: (result) =>
      sum([
        ...valuesOf(result, 'fleet-changes', 'hipache', 'failed'),
        ...valuesOf(result, 'fleet-changes', 'hipache', 'closed'),
      ]),
  },
  {
    what: 'requests failed while all workers are replaced ten times',
    atMost: 0,
    unit: '',
    measured: (result) => sum(valuesOf(result, 'fleet-replace', 'hipache', 'failed')),
  },
  {
    what: 'peak RSS, 10 GiB through one worker in each direction',
    atMost: 150,
    unit: 'MB',
    measured: peakMb,
  },
];

/** The figures that a run has, in the order of the issue. */
export function reachedTargets(result: Result): readonly Reached[] {
  return targets.flatMap(({ what, atMost, unit, measured }) => {
    const value = measured(result);
    return value === null ? [] : [{ what, atMost, unit, value, reached: value <= atMost }];
  });
}

/** Hipache's over the other's. */
function ratio(result: Result, scenario: string, metric: Metric, other: string): number | null {
  return over(hipache(result, scenario, metric), medianOf(result, scenario, other, metric));
}

function hipache(result: Result, scenario: string, metric: Metric): number | null {
  return medianOf(result, scenario, 'hipache', metric);
}

function over(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a / b;
}

/** Whether HAProxy was measured at Hipache's rate. */
function hasSameRate(result: Result): boolean {
  return hipache(result, 'latency', 'ratePerSecond') === medianOf(result, 'latency', 'haproxy', 'ratePerSecond');
}

function toKb(kib: number | null): number | null {
  return kib === null ? null : (kib * 1024) / 1000;
}

function sum(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0);
}

function peakMb(result: Result): number | null {
  const peaks = Object.keys(result.scenarios)
    .filter((name) => name.startsWith('memory-'))
    .flatMap((name) => valuesOf(result, name, 'hipache', 'peakRssMib'));
  return peaks.length === 0 ? null : (Math.max(...peaks) * 1024 * 1024) / 1e6;
}
