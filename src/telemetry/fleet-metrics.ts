import { labelValues, type Metric } from './metric-table.ts';
import { otherLabel } from './traffic-table.ts';

/** Values by metric name, followed by a slash and the label's value if the metric has a label. */
type Values = Readonly<Record<string, number>>;

/** The latest values of a worker. */
interface Member {
  readonly number: number;
  values: Values;
}

/**
 * Combines the values of all workers into those of one instance. Counters never decrease: the last known totals of a
 * worker that has gone are kept.
 */
export class FleetMetrics {
  private readonly metrics: readonly Metric[];
  private readonly topMax: number;
  private readonly members = new Map<number, Member>();
  /** Totals of workers that have gone. */
  private readonly kept = new Map<string, number>();

  /** @param topMax series of a metric with `isTop`, besides `(other)`. */
  constructor(metrics: readonly Metric[], topMax = 50) {
    this.metrics = metrics;
    this.topMax = topMax;
  }

  /** @param id of the worker's process. A replacement has the same `number`, but another id. */
  update(id: number, number: number, values: Values): void {
    this.members.set(id, { number, values });
  }

  gone(id: number): void {
    const member = this.members.get(id);
    if (member === undefined) return;
    this.members.delete(id);
    for (const metric of this.metrics) {
      if (metric.type === 'gauge') continue;
      for (const [key, value] of seriesOf(metric, member.values)) this.kept.set(key, (this.kept.get(key) ?? 0) + value);
      if (metric.isTop === true) this.boundKept(metric);
    }
  }

  /**
   * Every series of the workers.
   * @param standing of a worker: `serving`; `draining`, a replaced one that counts in sums but has no series of its
   * own; `silent`, of which only the totals count.
   */
  sum(standing: (id: number) => 'serving' | 'draining' | 'silent'): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const metric of this.metrics) {
      for (const label of labelValues.get(metric.name) ?? []) sums[`${metric.name}/${label}`] = 0;
      if (metric.label === undefined) sums[metric.name] = 0;
    }
    for (const [key, value] of this.kept) sums[key] = (sums[key] ?? 0) + value;
    for (const [id, { number, values }] of this.members) {
      const state = standing(id);
      for (const metric of this.metrics) {
        if (metric.perWorker === true) {
          const value = values[metric.name];
          if (state === 'serving' && value !== undefined) sums[`${metric.name}/${number}`] = value;
          continue;
        }
        if (metric.type === 'gauge' && state === 'silent') continue;
        for (const [key, value] of seriesOf(metric, values)) sums[key] = (sums[key] ?? 0) + value;
      }
    }
    for (const metric of this.metrics) {
      if (metric.isTop !== true) continue;
      const { other, left } = splitTop(metric, sums, this.topMax);
      for (const [key] of left) delete sums[key];
      if (left.length > 0) sums[`${metric.name}/${otherLabel}`] = other;
    }
    return sums;
  }

  /** Totals of gone workers must not pile up: their hosts may differ from worker to worker. */
  private boundKept(metric: Metric): void {
    const { other, left } = splitTop(metric, Object.fromEntries(this.kept), 4 * this.topMax);
    for (const [key] of left) this.kept.delete(key);
    if (left.length > 0) this.kept.set(`${metric.name}/${otherLabel}`, other);
  }
}

/** The series beyond the `count` highest of a metric, and the value of `(other)` with them. */
function splitTop(metric: Metric, values: Values, count: number) {
  const otherKey = `${metric.name}/${otherLabel}`;
  const series = seriesOf(metric, values).filter(([key]) => key !== otherKey);
  const left = series.toSorted(([, a], [, b]) => b - a).slice(count);
  return { left, other: left.reduce((sum, [, value]) => sum + value, values[otherKey] ?? 0) };
}

/** The series of a metric among `values`. */
export function seriesOf({ name, label }: Metric, values: Values): readonly (readonly [key: string, value: number])[] {
  if (label === undefined) {
    const value = values[name];
    return value === undefined ? [] : [[name, value]];
  }
  return Object.entries(values).filter(([key]) => key.startsWith(`${name}/`));
}
