import { medianOf, type Result, valuesOf } from './result.ts';
import type { Metric } from './sample.ts';
import { median } from './statistics.ts';

/** A figure to reach. */
interface Target {
  readonly what: string;
  readonly bound: Bound;
  /** `x` for a ratio, empty for a count. */
  readonly unit: string;
  /** null where the run has not measured it. */
  measured(result: Result): number | null;
}

const liveStores = ['redis', 'etcd', 'zookeeper', 'sqlite'] as const;

type Bound = { readonly atMost: number } | { readonly atLeast: number };

export interface Reached extends Pick<Target, 'what' | 'bound' | 'unit'> {
  readonly value: number;
  readonly reached: boolean;
}

const targets: readonly Target[] = [
  {
    what: 'CPU per request, small responses, against HAProxy',
    bound: { atMost: 0.95 },
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'cpuUsPerRequest', 'haproxy'),
  },
  {
    what: 'CPU per request, small responses, against nginx (the aim is 1.00 x)',
    bound: { atMost: 1.25 },
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'cpuUsPerRequest', 'nginx'),
  },
  {
    what: 'requests per second, small responses, against HAProxy',
    bound: { atLeast: 0.9 },
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'requestsPerSecond', 'haproxy'),
  },
  {
    what: 'requests per second, small responses, against nginx',
    bound: { atLeast: 0.9 },
    unit: 'x',
    measured: (result) => ratio(result, 'small', 'requestsPerSecond', 'nginx'),
  },
  {
    what: 'CPU per request, 100 header fields in and 20 out, against HAProxy',
    bound: { atMost: 1.3 },
    unit: 'x',
    measured: (result) => ratio(result, 'headers', 'cpuUsPerRequest', 'haproxy'),
  },
  bytesTarget('body-64k', 'responses of 64 KiB'),
  bytesTarget('upload-64k', 'requests of 64 KiB'),
  bytesTarget('body-10m', 'responses of 10 MiB'),
  bytesTarget('upload-10m', 'requests of 10 MiB'),
  {
    what: 'requests per second, a new connection for each, against HAProxy',
    bound: { atLeast: 0.7 },
    unit: 'x',
    measured: (result) => ratio(result, 'connections', 'requestsPerSecond', 'haproxy'),
  },
  {
    what: 'CPU per request with TLS 1.3 on kept connections, against HAProxy',
    bound: { atMost: 1.4 },
    unit: 'x',
    measured: (result) => ratio(result, 'tls', 'cpuUsPerRequest', 'haproxy'),
  },
  {
    what: 'CPU per request over HTTP/2 and TLS, small responses, against HAProxy (the aim is 1.20 x)',
    bound: { atMost: 1.5 },
    unit: 'x',
    measured: (result) => ratio(result, 'http2-small', 'cpuUsPerRequest', 'haproxy'),
  },
  bytesTarget('http2-body-64k', 'responses of 64 KiB over HTTP/2', 0.8),
  bytesTarget('http2-upload-64k', 'requests of 64 KiB over HTTP/2', 0.8),
  {
    what: 'TLS 1.3 handshakes per CPU second, new, against HAProxy',
    bound: { atLeast: 0.7 },
    unit: 'x',
    measured: (result) => perCpuSecondRatio(result, 'handshakes-new', 'haproxy'),
  },
  {
    what: 'TLS 1.3 handshakes per CPU second, resumed, against HAProxy',
    bound: { atLeast: 0.7 },
    unit: 'x',
    measured: (result) => perCpuSecondRatio(result, 'handshakes-resumed', 'haproxy'),
  },
  {
    what: 'WebSocket messages of 64 bytes per CPU second, against HAProxy',
    bound: { atLeast: 0.95 },
    unit: 'x',
    measured: (result) => perCpuSecondRatio(result, 'echo', 'haproxy'),
  },
  {
    what: 'RSS per idle tunnel, 9,000 of them, against nginx',
    bound: { atMost: 1 },
    unit: 'x',
    measured: (result) => ratio(result, 'tunnels', 'rssKibPerTunnel', 'nginx'),
  },
  {
    what: 'RSS per tunnel after a burst through each of 9,000, against nginx',
    bound: { atMost: 1 },
    unit: 'x',
    measured: (result) => ratio(result, 'tunnels', 'rssKibPerUsedTunnel', 'nginx'),
  },
  {
    what: 'RSS per idle tunnel, 9,000 of them',
    bound: { atMost: 6 },
    unit: 'KB',
    measured: (result) => toKb(hipache(result, 'tunnels', 'rssKibPerTunnel')),
  },
  latencyTarget(25),
  latencyTarget(50),
  latencyTarget(75),
  {
    what: 'requests of the busier of two workers on two cores above an even share, 64 connections',
    bound: { atMost: 10 },
    unit: '%',
    measured: (result) => hipache(result, 'balance', 'imbalancePercent'),
  },
  {
    what: 'CPU per request over 100,000 hosts, against 10 hosts',
    bound: { atMost: 1.05 },
    unit: 'x',
    measured: (result) =>
      over(hipache(result, 'hosts-100k', 'cpuUsPerRequest'), hipache(result, 'hosts-10', 'cpuUsPerRequest')),
  },
  {
    what: 'requests failed on hosts that were not changed, at 500 route changes a second',
    bound: { atMost: 0 },
    unit: '',
    measured: (result) => sum(valuesOf(result, 'changes-500', 'hipache', 'failed')),
  },
  {
    what: 'written to served on every worker of two instances, p99 at 500 changes a second in Redis',
    bound: { atMost: 10 },
    unit: 'ms',
    measured: (result) => hipache(result, 'fleet-changes', 'liveP99Ms'),
  },
  {
    what: 'requests failed and tunnels closed on hosts that were not changed, during that',
    bound: { atMost: 0 },
    unit: '',
    measured: (result) =>
      sum([
        ...valuesOf(result, 'fleet-changes', 'hipache', 'failed'),
        ...valuesOf(result, 'fleet-changes', 'hipache', 'closed'),
      ]),
  },
  liveTarget('redis', 'three instances on Redis', 10),
  liveTarget('etcd', 'three instances on etcd', 10),
  liveTarget('zookeeper', 'three instances on ZooKeeper', 50),
  liveTarget('sqlite', 'one instance on SQLite', 50),
  {
    what: 'route changes a second meanwhile, of 1,000 to be made, with the slowest of these stores',
    bound: { atLeast: 950 },
    unit: '/s',
    measured: (result) => least(liveStores.map((store) => hipache(result, `live-${store}`, 'changesPerSecond'))),
  },
  {
    what: 'requests failed and tunnels closed on hosts that were not changed, with all of these stores',
    bound: { atMost: 0 },
    unit: '',
    measured: (result) =>
      sum(
        liveStores.flatMap((store) => [
          ...valuesOf(result, `live-${store}`, 'hipache', 'failed'),
          ...valuesOf(result, `live-${store}`, 'hipache', 'closed'),
        ]),
      ),
  },
  churnTarget('sqlite', 'SQLite'),
  churnTarget('redis', 'Redis'),
  changeCostTarget('sqlite', 'SQLite'),
  changeCostTarget('redis', 'Redis'),
  {
    what: 'from the start to the first response, 1,000,000 hosts in the store',
    bound: { atMost: 1000 },
    unit: 'ms',
    measured: (result) => hipache(result, 'million-start', 'firstResponseMs'),
  },
  {
    what: 'RSS of a worker that has served 1,000,000 hosts, and keeps all',
    bound: { atMost: 300 },
    unit: 'MiB',
    measured: (result) => hipache(result, 'million-all', 'rssMib'),
  },
  {
    what: 'RSS of a worker under Zipf’s law over 1,000,000 hosts, the default cache',
    bound: { atMost: 150 },
    unit: 'MiB',
    measured: (result) => hipache(result, 'million-zipf', 'rssMib'),
  },
  {
    what: 'CPU per request under Zipf’s law over 1,000,000 hosts, against 10',
    bound: { atMost: 1.2 },
    unit: 'x',
    measured: (result) => ofRounds(result, 'million-zipf', 'million-10', 'cpuUsPerRequest'),
  },
  {
    what: 'CPU per request with sticky, field edits, a rate and a path prefix, against none of them',
    bound: { atMost: 1.25 },
    unit: 'x',
    measured: (result) => ofRounds(result, 'options-all', 'options-none', 'cpuUsPerRequest'),
  },
  {
    what: 'p99 of a quiet host beside one with 20 times its limit, against alone (medians of tenths of a second)',
    bound: { atMost: 1.5 },
    unit: 'x',
    measured: (result) => ofRounds(result, 'quiet-beside', 'quiet-alone', 'slicedP99Us'),
  },
  {
    what: 'RSS per request that waits for a backend, 10,000 of them',
    bound: { atMost: 6 },
    unit: 'KB',
    measured: (result) => toKb(hipache(result, 'held', 'rssKibPerWaiting')),
  },
  {
    what: 'from "the backend listens" to the first response that has waited, the longest of 20',
    bound: { atMost: 50 },
    unit: 'ms',
    measured: (result) => hipache(result, 'wake', 'wakeMaxMs'),
  },
  {
    what: 'RSS per certificate by name that is kept, the default limit, all of them in use',
    bound: { atMost: 25 },
    unit: 'KB',
    measured: (result) => toKb(hipache(result, 'certificates-memory', 'rssKibPerCertificate')),
  },
  certificateStartTarget('redis', 'Redis'),
  certificateStartTarget('sqlite', 'SQLite'),
  {
    what: 'TLS 1.3 handshakes per CPU second, new, 1,000 certificates, against HAProxy',
    bound: { atLeast: 0.9 },
    unit: 'x',
    measured: (result) => perCpuSecondRatio(result, 'certificates-new', 'haproxy'),
  },
  {
    what: 'TLS 1.3 handshakes per CPU second, resumed, 1,000 certificates, against HAProxy',
    bound: { atLeast: 0.9 },
    unit: 'x',
    measured: (result) => perCpuSecondRatio(result, 'certificates-resumed', 'haproxy'),
  },
  {
    what: 'p99 of handshakes of known names beside a flood of random names, against alone (medians of tenths of a second)',
    bound: { atMost: 1.5 },
    unit: 'x',
    measured: (result) => ofRounds(result, 'names-beside', 'names-alone', 'slicedP99Us'),
  },
  {
    what: 'requests failed while all workers are replaced ten times',
    bound: { atMost: 0 },
    unit: '',
    measured: (result) => sum(valuesOf(result, 'fleet-replace', 'hipache', 'failed')),
  },
  {
    what: 'peak RSS, 10 GiB through one worker in each direction',
    bound: { atMost: 150 },
    unit: 'MB',
    measured: peakMb,
  },
];

/** The figures that a run has, in the order of the issue. */
export function reachedTargets(result: Result): readonly Reached[] {
  return targets.flatMap(({ what, bound, unit, measured }) => {
    const value = measured(result);
    if (value === null) return [];
    const reached = 'atMost' in bound ? value <= bound.atMost : value >= bound.atLeast;
    return [{ what, bound, unit, value, reached }];
  });
}

function bytesTarget(scenario: string, title: string, atLeast = 0.9): Target {
  return {
    what: `bytes per CPU second, ${title}, against HAProxy`,
    bound: { atLeast },
    unit: 'x',
    measured: (result) => ratio(result, scenario, 'mibPerCpuSecond', 'haproxy'),
  };
}

function latencyTarget(percent: number): Target {
  const scenario = `latency-${percent}`;
  return {
    what: `p99 at ${percent} % of HAProxy's peak rate, against HAProxy at the same rate`,
    bound: { atMost: 1.2 },
    unit: 'x',
    measured: (result) => (hasSameRate(result, scenario) ? ratio(result, scenario, 'p99Us', 'haproxy') : null),
  };
}

function liveTarget(store: (typeof liveStores)[number], who: string, atMost: number): Target {
  return {
    what: `written to served on every worker of ${who}, p99 at 1,000 changes a second`,
    bound: { atMost },
    unit: 'ms',
    measured: (result) => hipache(result, `live-${store}`, 'liveP99Ms'),
  };
}

function churnTarget(store: string, title: string): Target {
  return {
    what: `requests per second during 1,000 changes a second in ${title}, against none`,
    bound: { atLeast: 0.95 },
    unit: 'x',
    measured: (result) => ofRounds(result, `churn-${store}-1000`, `churn-${store}-0`, 'requestsPerSecond'),
  };
}

function changeCostTarget(store: string, title: string): Target {
  return {
    what: `CPU per change at 1,000,000 hosts in ${title}, against 10`,
    bound: { atMost: 1.2 },
    unit: 'x',
    measured: (result) => ofRounds(result, `change-cost-million-${store}`, `change-cost-10-${store}`, 'cpuUsPerChange'),
  };
}

function certificateStartTarget(store: string, title: string): Target {
  const scenario = (count: string) => `certificates-start-${count}-${store}`;
  return {
    what: `from the start to the first handshake, 100,000 certificates in ${title}, against 10`,
    bound: { atMost: 1.1 },
    unit: 'x',
    measured: (result) => ofRounds(result, scenario('100k'), scenario('10'), 'firstHandshakeMs'),
  };
}

/** A figure of one scenario over that of another: the median of the ratios of the rounds, which take turns. */
function ofRounds(result: Result, scenario: string, base: string, metric: Metric): number | null {
  const bases = valuesOf(result, base, 'hipache', metric);
  const ratios = valuesOf(result, scenario, 'hipache', metric).flatMap(
    (value, round) => over(value, bases[round] ?? null) ?? [],
  );
  return ratios.length === 0 ? null : median(ratios);
}

/** Hipache's over the other's. */
function ratio(result: Result, scenario: string, metric: Metric, other: string): number | null {
  return over(hipache(result, scenario, metric), medianOf(result, scenario, other, metric));
}

/** Hipache's over the other's, of what is done in a second of CPU time: the time for each, the other way round. */
function perCpuSecondRatio(result: Result, scenario: string, other: string): number | null {
  return over(medianOf(result, scenario, other, 'cpuUsPerRequest'), hipache(result, scenario, 'cpuUsPerRequest'));
}

function hipache(result: Result, scenario: string, metric: Metric): number | null {
  return medianOf(result, scenario, 'hipache', metric);
}

function over(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a / b;
}

/** Whether HAProxy was measured at Hipache's rate. */
function hasSameRate(result: Result, scenario: string): boolean {
  return hipache(result, scenario, 'ratePerSecond') === medianOf(result, scenario, 'haproxy', 'ratePerSecond');
}

function toKb(kib: number | null): number | null {
  return kib === null ? null : (kib * 1024) / 1000;
}

function sum(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0);
}

function least(values: readonly (number | null)[]): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : Math.min(...measured);
}

function peakMb(result: Result): number | null {
  const peaks = Object.keys(result.scenarios)
    .filter((name) => name.startsWith('memory-'))
    .flatMap((name) => valuesOf(result, name, 'hipache', 'peakRssMib'));
  return peaks.length === 0 ? null : (Math.max(...peaks) * 1024 * 1024) / 1e6;
}
