import { labelValues, type Metric } from './metric-table.ts';

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
  private readonly members = new Map<number, Member>();
  /** Totals of workers that have gone. */
  private readonly kept = new Map<string, number>();

  constructor(metrics: readonly Metric[]) {
    this.metrics = metrics;
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
    return sums;
  }
}

/** The series of a metric among `values`. */
export function seriesOf({ name, label }: Metric, values: Values): readonly (readonly [key: string, value: number])[] {
  if (label === undefined) {
    const value = values[name];
    return value === undefined ? [] : [[name, value]];
  }
  return Object.entries(values).filter(([key]) => key.startsWith(`${name}/`));
}
