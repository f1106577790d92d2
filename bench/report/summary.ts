import { proxyNames } from '../proxies/proxy.ts';
import { medianOf, metricsOf, type Result, spreadOf, valuesOf } from '../result.ts';
import type { Metric } from '../sample.ts';
import { median } from '../statistics.ts';
import { type Reached, reachedTargets } from '../targets.ts';
import { pairedTable } from './paired.ts';
import { table } from './table.ts';
import { titleOf, valueText } from './text.ts';

/** Shown for each scenario, where it has them. */
const shown: readonly Metric[] = [
  'cpuUsPerRequest',
  'mibPerCpuSecond',
  'requestsPerSecond',
  'ratePerSecond',
  'p50Us',
  'p99Us',
  'p999Us',
  'slicedP99Us',
  'rssMib',
  'peakRssMib',
  'rssKibPerConnection',
  'rssKibPerTunnel',
  'rssKibPerUsedTunnel',
  'rssKibPerRoute',
  'rssKibPerWaiting',
  'wakeP50Ms',
  'wakeMaxMs',
  'imbalancePercent',
  'busiestConnections',
  'servedP50Ms',
  'servedP99Ms',
  'servedMaxMs',
  'aloneP50Ms',
  'aloneMaxMs',
  'pssMib',
  'processes',
  'lost',
  'closed',
  'writeP50Ms',
  'writeP99Ms',
  'liveP50Ms',
  'liveP99Ms',
  'changesPerSecond',
  'writesInFlight',
  'cpuUsPerChange',
  'storeRssMib',
  'proxyPercent',
];

/** More than this on the proxy's core, in percent, by others than the proxy: the figures are worth less. */
const foreignPercentMax = 5;

/** All of a result, to read. */
export function summary(result: Result): string {
  const parts = Object.keys(result.scenarios).map((name) => scenarioTable(result, name));
  const ends = [balanceTable(result), targetTable(result), pairedTable(result)].filter((text) => text !== '');
  return [...parts, ...ends, ...noise(result)].join('\n');
}

/** A table of one scenario: a row for each proxy, medians. The last column is the spread of the rounds. */
function scenarioTable(result: Result, scenario: string): string {
  const columns = columnsOf(result, scenario);
  const head = [scenario, ...columns.map((metric) => titleOf(metric)), 'spread', 'to HAProxy'];
  const rows = proxyNames
    .filter((proxy) => metricsOf(result, scenario, proxy).length > 0)
    .map((proxy) => [
      proxy,
      ...columns.map((metric) => valueText(medianOf(result, scenario, proxy, metric))),
      spreadText(result, scenario, proxy),
      ratioText(result, scenario, proxy),
    ]);
  return `${result.scenarios[scenario]?.title}\n\n${table([head, ...rows])}`;
}

/** The figures to reach, empty where none was measured. */
export function targetTable(result: Result): string {
  const rows = reachedTargets(result).map(({ what, bound, unit, value, reached }) => [
    what,
    boundText(bound, unit),
    `${valueText(value)} ${unit}`.trim(),
    reached ? 'reached' : '**not reached**',
  ]);
  return rows.length === 0 ? '' : table([['figure', 'to reach', 'measured', ''], ...rows]);
}

/** The balance of the workers, by the median of the rounds and by the worst of them. Empty where it was not measured. */
export function balanceTable(result: Result): string {
  const rows = (['imbalancePercent', 'busiestConnections'] as const).flatMap((metric) => {
    const values = valuesOf(result, 'balance', 'hipache', metric);
    if (values.length === 0) return [];
    return [[titleOf(metric), valueText(median(values)), valueText(Math.max(...values))]];
  });
  return rows.length === 0 ? '' : table([['', 'median', 'worst'], ...rows]);
}

/** What should have been answered and was not, one line each. */
export function failures(result: Result): readonly string[] {
  return Object.entries(result.scenarios).flatMap(([scenario, { samples }]) =>
    Object.keys(samples).flatMap((proxy) => {
      const failed = valuesOf(result, scenario, proxy, 'failed').reduce((a, b) => a + b, 0);
      return failed === 0 ? [] : [`${scenario}, ${proxy}: ${failed} requests failed`];
    }),
  );
}

/** The metrics that say most about a scenario: CPU per request, or bytes per CPU second where bodies are long. */
export function mainMetric(result: Result, scenario: string): Metric {
  const present = metricsOf(result, scenario, 'hipache');
  if (scenario.startsWith('latency-')) return 'p99Us';
  if (scenario.startsWith('live-')) return 'liveP99Ms';
  if (scenario.startsWith('change-cost-')) return 'cpuUsPerChange';
  if (scenario === 'balance') return 'imbalancePercent';
  if (scenario === 'tunnels') return 'rssKibPerTunnel';
  if (scenario === 'http2-idle') return 'rssKibPerConnection';
  if (scenario.startsWith('move-')) return 'servedP50Ms';
  if (scenario === 'routes-memory') return 'rssKibPerRoute';
  if (scenario === 'held') return 'rssKibPerWaiting';
  if (scenario === 'wake') return 'wakeMaxMs';
  if (scenario.startsWith('quiet-')) return 'slicedP99Us';
  return present.includes('mibPerCpuSecond') ? 'mibPerCpuSecond' : 'cpuUsPerRequest';
}

function boundText(bound: Reached['bound'], unit: string): string {
  const [words, value] = 'atMost' in bound ? ['at most', bound.atMost] : ['at least', bound.atLeast];
  return `${words} ${unit === 'x' ? value.toFixed(2) : value} ${unit}`.trim();
}

function columnsOf(result: Result, scenario: string): readonly Metric[] {
  const present = new Set(proxyNames.flatMap((proxy) => metricsOf(result, scenario, proxy)));
  return shown.filter((metric) => present.has(metric));
}

function spreadText(result: Result, scenario: string, proxy: string): string {
  return `±${(spreadOf(result, scenario, proxy, mainMetric(result, scenario)) * 100).toFixed(1)} %`;
}

function ratioText(result: Result, scenario: string, proxy: string): string {
  const metric = mainMetric(result, scenario);
  const own = medianOf(result, scenario, proxy, metric);
  const other = medianOf(result, scenario, 'haproxy', metric);
  return own === null || other === null ? '' : `${(own / other).toFixed(2)} x`;
}

function noise(result: Result): readonly string[] {
  const foreign = Object.keys(result.scenarios).flatMap((scenario) =>
    proxyNames.flatMap((proxy) => valuesOf(result, scenario, proxy, 'foreignPercent')),
  );
  const worst = Math.max(0, ...foreign);
  if (worst <= foreignPercentMax) return [];
  const times = foreign.filter((percent) => percent > foreignPercentMax).length;
  return [
    `Others used the proxy's core in ${times} of ${foreign.length} measurements, up to ${Math.round(worst)} % of it: ` +
      'these figures are noisy.\n',
  ];
}
