import { type ProductName, productNames } from '../proxies/proxy.ts';
import { medianOf, type Result, spreadOf, valuesOf } from '../result.ts';
import type { Metric } from '../sample.ts';
import { balanceTable, targetTable } from './summary.ts';
import { table } from './table.ts';
import { titleOf, valueText } from './text.ts';
import { titles } from './titles.ts';

/** The parts of the page that come from a result, by the name of their marker. Those that it has nothing for are left. */
export function partsOf(result: Result): Readonly<Record<string, string>> {
  const all: Record<string, string> = {
    targets: targetTable(result),
    cpu: byProxy(result, 'cpuUsPerRequest', (scenario) => !scenario.includes('0m') && !isOwn(scenario)),
    bytes: byProxy(result, 'mibPerCpuSecond', (scenario) => !isOwn(scenario)),
    rate: byProxy(result, 'requestsPerSecond', (scenario) => !isLatency(scenario) && !isOwn(scenario)),
    tls: byProxy(result, 'cpuUsPerRequest', isTls),
    http2: [
      byProxy(result, 'cpuUsPerRequest', (scenario) => scenario.startsWith('http2-')),
      byProxy(result, 'mibPerCpuSecond', (scenario) => scenario.startsWith('http2-')),
      byMetric(result, ['http2-idle'], ['rssKibPerConnection', 'rssKibPerTunnel']),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    tunnels: [
      byProxy(result, 'cpuUsPerRequest', (scenario) => scenario === 'echo'),
      byMetric(result, ['tunnels'], ['rssKibPerTunnel', 'rssKibPerUsedTunnel', 'closed']),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    fleet: byMetric(result, scenariosOf(result, 'fleet'), [
      'p50Us',
      'p99Us',
      'writeP99Ms',
      'liveP50Ms',
      'liveP99Ms',
      'closed',
      'failed',
    ]),
    live: byMetric(result, scenariosOf(result, 'live'), [
      'changesPerSecond',
      'writeP99Ms',
      'liveP50Ms',
      'liveP99Ms',
      'servedP99Ms',
      'proxyPercent',
      'loadPercent',
      'closed',
      'failed',
    ]),
    million: byMetric(result, scenariosOf(result, 'million'), [
      'firstResponseMs',
      'rssMib',
      'primaryRssMib',
      'cpuUsPerRequest',
    ]),
    churn: byMetric(result, scenariosOf(result, 'churn'), [
      'changesPerSecond',
      'requestsPerSecond',
      'cpuUsPerRequest',
      'failed',
    ]),
    'change-cost': byMetric(result, scenariosOf(result, 'change-cost'), [
      'changesPerSecond',
      'cpuUsPerChange',
      'rssMib',
      'storeRssMib',
    ]),
    latency: latencyTable(result),
    balance: balanceTable(result),
    changes: byMetric(result, scenariosOf(result, 'changes'), [
      'p50Us',
      'p99Us',
      'writeP99Ms',
      'liveP50Ms',
      'liveP99Ms',
      'failed',
    ]),
    moves: [
      movesTable(result, ['servedP50Ms', 'servedMaxMs', 'aloneP50Ms', 'aloneMaxMs', 'changes']),
      movesTable(result, [
        'p50Us',
        'p99Us',
        'lost',
        'tunnels',
        'closed',
        'rssMib',
        'peakRssMib',
        'pssMib',
        'processes',
      ]),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    certificates: [
      byMetric(
        result,
        ['certificates-memory', 'certificates-ready'],
        ['rssKibPerCertificate', 'estimatedKibPerCertificate', 'certificates', 'certificatesReady'],
      ),
      byMetric(result, scenariosOf(result, 'certificates-start'), ['firstHandshakeMs']),
      byProxy(result, 'cpuUsPerRequest', (scenario) => /^certificates-(new|resumed)$/.test(scenario)),
      byMetric(result, scenariosOf(result, 'names'), ['p50Us', 'p99Us', 'slicedP99Us', 'failed']),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    memory: [
      byMetric(result, scenariosOf(result, 'memory'), ['peakRssMib', 'mibPerCpuSecond']),
      byMetric(result, ['routes-memory'], ['rssKibPerRoute']),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    rss: byMetric(result, ['small'], ['rssMib']),
    options: [
      byMetric(result, scenariosOf(result, 'options'), ['cpuUsPerRequest', 'requestsPerSecond', 'failed']),
      byMetric(result, scenariosOf(result, 'quiet'), ['p50Us', 'p99Us', 'slicedP99Us', 'failed']),
      byMetric(result, ['held'], ['rssKibPerWaiting', 'requests', 'failed']),
      byMetric(result, ['wake'], ['wakeP50Ms', 'wakeMaxMs', 'requests', 'failed']),
    ]
      .filter((text) => text !== '')
      .join('\n'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, text]) => text !== ''));
}

/** What was run, where, and how far rounds lie apart. */
export function runText(result: Result): string {
  const { machine, versions, revision, changed, date, command, rounds, seconds } = result;
  const spreads = Object.entries(result.scenarios).flatMap(([scenario, { samples }]) =>
    Object.keys(samples).map((proxy) => spreadOf(result, scenario, proxy, 'cpuUsPerRequest')),
  );
  const foreign = Object.entries(result.scenarios).flatMap(([scenario, { samples }]) =>
    Object.keys(samples).flatMap((proxy) => valuesOf(result, scenario, proxy, 'foreignPercent')),
  );
  const lines = [
    `\`${command}\`, ${date.slice(0, 10)}, revision ${revision}${changed ? ' with changes' : ''}.`,
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Linux ${machine.kernel}.`,
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    `${rounds} rounds of ${seconds} s; the figures are medians. Rounds lie within ±${percentText(Math.max(0, ...spreads))} ` +
      `of the median (CPU per request, the worst case; ±${percentText(middle(spreads))} in half of the cases). Others used at ` +
      `most ${Math.round(Math.max(0, ...foreign))} % of the proxy's core.`,
  ];
  return lines.map((line) => `- ${line}\n`).join('');
}

/** A row for each scenario, a column for each proxy, and Hipache's figure over HAProxy's and nginx's. */
function byProxy(result: Result, metric: Metric, chosen: (scenario: string) => boolean): string {
  const names = Object.keys(result.scenarios).filter(
    (scenario) => chosen(scenario) && medianOf(result, scenario, 'hipache', metric) !== null,
  );
  if (names.length === 0) return '';
  const hasValue = (proxy: ProductName) => names.some((scenario) => medianOf(result, scenario, proxy, metric) !== null);
  const proxies = productNames.filter(hasValue);
  const others = (['haproxy', 'nginx'] as const).filter(hasValue);
  const head = [
    titleOf(metric),
    ...proxies.map((proxy) => titles[proxy]),
    ...others.map((proxy) => `to ${titles[proxy]}`),
  ];
  const rows = names.map((scenario) => [
    `\`${scenario}\`: ${result.scenarios[scenario]?.title}`,
    ...proxies.map((proxy) => valueText(medianOf(result, scenario, proxy, metric))),
    ...others.map((proxy) => ratioText(result, scenario, metric, proxy)),
  ]);
  return table([head, ...rows]);
}

/** A row for each proxy at each share of HAProxy's peak rate. */
function latencyTable(result: Result): string {
  const columns = ['ratePerSecond', 'p50Us', 'p99Us', 'p999Us'] as const;
  const rows = scenariosOf(result, 'latency').flatMap((scenario) =>
    productNames
      .filter((proxy) => result.scenarios[scenario]?.samples[proxy] !== undefined)
      .map((proxy) => [
        `${titles[proxy]}, ${scenario.slice('latency-'.length)} %`,
        ...columns.map((metric) => valueText(medianOf(result, scenario, proxy, metric))),
      ]),
  );
  return rows.length === 0 ? '' : table([['', ...columns.map(titleOf)], ...rows]);
}

/** A row for each proxy with each number of hosts, a column for each metric. */
function movesTable(result: Result, columns: readonly Metric[]): string {
  const rows = scenariosOf(result, 'move').flatMap((scenario) =>
    productNames
      .filter((proxy) => result.scenarios[scenario]?.samples[proxy] !== undefined)
      .map((proxy) => [
        `\`${scenario}\`: ${titles[proxy]}`,
        ...columns.map((metric) => valueText(medianOf(result, scenario, proxy, metric))),
      ]),
  );
  return rows.length === 0 ? '' : table([['', ...columns.map(titleOf)], ...rows]);
}

/** A row for each proxy in each of the scenarios, a column for each metric. */
function byMetric(result: Result, scenarios: readonly string[], columns: readonly Metric[]): string {
  const rows = scenarios.flatMap((scenario) =>
    productNames
      .filter((proxy) => result.scenarios[scenario]?.samples[proxy] !== undefined)
      .map((proxy) => [
        scenarios.length === 1 ? titles[proxy] : `\`${scenario}\`: ${result.scenarios[scenario]?.title}`,
        ...columns.map((metric) => valueText(medianOf(result, scenario, proxy, metric))),
      ]),
  );
  if (rows.length === 0) return '';
  return table([['', ...columns.map(titleOf)], ...rows]);
}

function scenariosOf(result: Result, group: string): readonly string[] {
  return Object.keys(result.scenarios).filter((scenario) => scenario.startsWith(`${group}-`));
}

/** Scenarios that have a table of their own. */
function isOwn(scenario: string): boolean {
  return (
    /^(changes|move|memory|fleet|live|churn|change-cost|million|options|quiet|certificates|names|http2)-|^(tunnels|echo|balance|routes-memory|held|wake)$/.test(
      scenario,
    ) || isTls(scenario)
  );
}

function isLatency(scenario: string): boolean {
  return scenario.startsWith('latency-');
}

function isTls(scenario: string): boolean {
  return scenario === 'tls' || scenario.startsWith('handshakes-');
}

function ratioText(result: Result, scenario: string, metric: Metric, other: string): string {
  const own = medianOf(result, scenario, 'hipache', metric);
  const base = medianOf(result, scenario, other, metric);
  return own === null || base === null ? '' : `${(own / base).toFixed(2)} x`;
}

function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
