import { type Metric, metrics } from '../sample.ts';

/** Three digits below 100, whole numbers above. Empty where nothing was measured. */
export function valueText(value: number | null): string {
  if (value === null) return '';
  if (value === 0) return '0';
  return Math.abs(value) < 100 ? String(Number(value.toPrecision(3))) : Math.round(value).toLocaleString('en');
}

/** The title of a metric, with its unit. */
export function titleOf(metric: Metric): string {
  const { title, unit } = metrics[metric];
  return unit === '' ? title : `${title}, ${unit}`;
}
