import { printable } from '../base/printable.ts';
import type { ResultOf } from '../operations/catalogue.ts';
import type { HostStatistics, ShownTraffic, Statistics } from '../operations/statistics.ts';
import { alignColumns, type Report } from './output.ts';
import { duration } from './when.ts';

const heading = ['req/s', 'err/s', 'p50', 'p99', 'bytes/s', 'requests', 'errors', '4xx', 'last', 'host'];

/** @param rowsMax hosts that are shown. */
export function statisticsReport(statistics: Statistics, nowMs: number, rowsMax = Number.POSITIVE_INFINITY): Report {
  const { all, hosts, since, windowSeconds, workers } = statistics;
  const rows = [{ ...all, name: '(all)' }, ...hosts.slice(0, rowsMax)].map((one) => rowOf(one, nowMs));
  const counted = `${workers} worker${workers === 1 ? '' : 's'}, counting since ${since}; rates of ${windowSeconds} s`;
  return { text: `${alignColumns([heading, ...rows])}${counted}\n`, json: statistics };
}

export function hostStatisticsReport(statistics: HostStatistics, nowMs: number): Report {
  const { backends, host, since, windowSeconds, workers } = statistics;
  const rows = [host, ...backends].map((one) => rowOf(one, nowMs));
  const counted = `${workers} worker${workers === 1 ? '' : 's'}, counting since ${since}; rates of ${windowSeconds} s`;
  return { text: `${alignColumns([heading.with(-1, 'host, backends'), ...rows])}${counted}\n`, json: statistics };
}

const loadHeading = [
  'until',
  'req/s',
  '2xx',
  '3xx',
  '4xx',
  '5xx',
  'fail/s',
  'p50',
  'p99',
  'bytes/s',
  'tunnels',
  'memory',
  'instances',
];

export function loadReport({ windows }: ResultOf<'showLoad'>): Report {
  if (windows.length === 0) return { text: 'Nothing yet: the first window is not over.\n', json: { windows } };
  const rows = windows.map((window) => [
    window.at,
    ...[window.requestsPerSecond, ...['2xx', '3xx', '4xx', '5xx'].map((name) => window.classes[name] ?? 0)].map(rate),
    rate(window.failuresPerSecond),
    milliseconds(window.p50Ms),
    milliseconds(window.p99Ms),
    scaled(window.bytesPerSecond),
    String(window.tunnels),
    scaled(window.residentBytes),
    String(window.instances),
  ]);
  return { text: alignColumns([loadHeading, ...rows]), json: { windows } };
}

function rowOf(traffic: ShownTraffic, nowMs: number): string[] {
  const { bytesPerSecond, clientErrors, errors, errorsPerSecond, last, name, p50Ms, p99Ms } = traffic;
  return [
    rate(traffic.requestsPerSecond),
    rate(errorsPerSecond),
    milliseconds(p50Ms),
    milliseconds(p99Ms),
    scaled(bytesPerSecond),
    String(traffic.requests),
    String(errors),
    String(clientErrors),
    last === null ? '-' : `${duration(nowMs - Date.parse(last))} ago`,
    printable(name),
  ];
}

function rate(perSecond: number): string {
  return perSecond >= 100 || perSecond === 0 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

function milliseconds(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

function scaled(bytes: number): string {
  const units = ['', ' K', ' M', ' G', ' T'];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)}${units[unit]}`;
}
