import { table } from './report/table.ts';
import { valueText } from './report/text.ts';
import { medianOf, metricsOf, type Result, spreadOf } from './result.ts';
import { type Metric, metrics } from './sample.ts';

/** A difference below this is never worth a word, whatever the rounds say. */
const noiseMin = 0.03;
/** Differences of memory, of which a run has few independent values. */
const memoryNoise = 0.1;

interface Difference {
  readonly scenario: string;
  readonly proxy: string;
  readonly metric: Metric;
  readonly before: number;
  readonly after: number;
  /** Positive where the later one is worse, as a share of the earlier. */
  readonly worseBy: number;
  readonly noise: number;
}

/** What got slower and what got faster from one result to another, by more than the spread of both's rounds. */
export function compare(before: Result, after: Result): string {
  const differences = differencesOf(before, after);
  const beyond = differences.filter(({ worseBy, noise }) => Math.abs(worseBy) > noise);
  const worse = beyond.filter(({ worseBy }) => worseBy > 0);
  const better = beyond.filter(({ worseBy }) => worseBy < 0);
  const warning = isSameMachine(before, after) ? '' : 'The machines or kernels differ: this compares them as well.\n\n';
  return [
    `${warning}From ${describe(before)} to ${describe(after)}.\n\n`,
    section('Worse', worse),
    section('Better', better),
    `Of ${differences.length} figures ${differences.length - beyond.length} are the same within noise.\n`,
  ].join('');
}

function differencesOf(before: Result, after: Result): readonly Difference[] {
  return Object.entries(before.scenarios).flatMap(([scenario, { samples }]) =>
    // Another checkout is another one each time.
    Object.keys(samples)
      .filter((proxy) => proxy !== 'against')
      .flatMap((proxy) =>
        metricsOf(before, scenario, proxy).flatMap((metric) => differenceOf(before, after, scenario, proxy, metric)),
      ),
  );
}

function differenceOf(before: Result, after: Result, scenario: string, proxy: string, metric: Metric): Difference[] {
  const { better } = metrics[metric];
  const a = medianOf(before, scenario, proxy, metric);
  const b = medianOf(after, scenario, proxy, metric);
  if (better === null || a === null || b === null || (a === 0 && b === 0)) return [];
  const share = a === 0 ? Number.POSITIVE_INFINITY : (b - a) / a;
  const measured = spreadOf(before, scenario, proxy, metric) + spreadOf(after, scenario, proxy, metric);
  const noise = Math.max(measured, metric.endsWith('Mib') ? memoryNoise : noiseMin);
  return [{ scenario, proxy, metric, before: a, after: b, worseBy: better === 'less' ? share : -share, noise }];
}

function section(title: string, differences: readonly Difference[]): string {
  if (differences.length === 0) return '';
  const rows = [...differences]
    .sort((a, b) => Math.abs(b.worseBy) - Math.abs(a.worseBy))
    .map(({ scenario, proxy, metric, before, after, noise }) => [
      `${scenario}, ${proxy}: ${metrics[metric].title}`,
      `${valueText(before)} ${metrics[metric].unit}`,
      `${valueText(after)} ${metrics[metric].unit}`,
      percentText(before === 0 ? Number.POSITIVE_INFINITY : (after - before) / before),
      `±${(noise * 100).toFixed(0)} %`,
    ]);
  return `${table([[title, 'before', 'after', 'change', 'noise'], ...rows])}\n`;
}

function percentText(share: number): string {
  return Number.isFinite(share) ? `${share > 0 ? '+' : ''}${(share * 100).toFixed(1)} %` : 'from 0';
}

function describe({ revision, changed, date }: Result): string {
  return `${revision}${changed ? ' with changes' : ''} (${date.slice(0, 10)})`;
}

function isSameMachine(a: Result, b: Result): boolean {
  return (
    a.machine.cpu === b.machine.cpu && a.machine.cores === b.machine.cores && a.machine.kernel === b.machine.kernel
  );
}
