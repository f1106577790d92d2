import { Registry } from 'prom-client';
import { seriesOf } from './fleet-metrics.ts';
import { durationBounds, type Metric } from './metric-table.ts';
import type { MetricsText } from './metrics-server.ts';

/**
 * Formats values that were counted elsewhere as Prometheus text.
 * @param values by metric name, followed by a slash and the label's value if the metric has a label.
 */
export async function writePrometheus(
  metrics: readonly Metric[],
  values: Readonly<Record<string, number>>,
): Promise<MetricsText> {
  const registry = new Registry();
  for (const metric of metrics) {
    const { name, type, help } = metric;
    const family = { name, type, help, aggregator: 'sum', values: samplesOf(metric, values) };
    // The library's own classes do their own counting. From a registered metric it needs only this.
    registry.registerMetric({ name, get: async () => family } as unknown as Parameters<Registry['registerMetric']>[0]);
  }
  return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text: await registry.metrics() };
}

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly metricName?: string;
}

function samplesOf(metric: Metric, values: Readonly<Record<string, number>>): readonly Sample[] {
  if (metric.type === 'histogram') return histogramOf(metric.name, values);
  const series = seriesOf(metric, values);
  const { label } = metric;
  if (label === undefined) return series.map(([, value]) => ({ value, labels: {} }));
  return series.map(([key, value]) => ({ value, labels: { [label]: key.slice(metric.name.length + 1) } }));
}

/** Buckets are stored separately, but exported cumulatively. */
function histogramOf(name: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  let count = 0;
  const samples: Sample[] = [];
  for (const bound of [...durationBounds, '+Inf']) {
    count += values[`${name}/${bound}`] ?? 0;
    samples.push({ metricName: `${name}_bucket`, value: count, labels: { le: String(bound) } });
  }
  samples.push({ metricName: `${name}_sum`, value: values[`${name}/sum`] ?? 0, labels: {} });
  samples.push({ metricName: `${name}_count`, value: count, labels: {} });
  return samples;
}
