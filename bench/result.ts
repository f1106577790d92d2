import { readFileSync, writeFileSync } from 'node:fs';
import type { Machine, Revision } from './machine.ts';
import type { PairedFigure } from './pairs.ts';
import { isMetric, type Metric, type Sample } from './sample.ts';
import { median, spread } from './statistics.ts';

/** A run, as it is kept: without anything that is of one machine only, such as paths. */
export interface Result extends Revision {
  readonly format: 1;
  /** When it began, ISO 8601. */
  readonly date: string;
  readonly command: string;
  readonly short: boolean;
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly scenarios: Readonly<Record<string, ScenarioResult>>;
  /** The other checkout, where `--against` named one. */
  readonly against?: Revision & { readonly figures: readonly PairedFigure[] };
}

interface ScenarioResult {
  readonly title: string;
  /** By proxy, a sample for each round. */
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

/** The values of a metric, one for each round that has it. */
export function valuesOf(result: Result, scenario: string, proxy: string, metric: Metric): readonly number[] {
  const samples = result.scenarios[scenario]?.samples[proxy] ?? [];
  return samples.map((sample) => sample[metric]).filter((value) => value !== undefined);
}

/** The median of the rounds, null where it was not measured. */
export function medianOf(result: Result, scenario: string, proxy: string, metric: Metric): number | null {
  const values = valuesOf(result, scenario, proxy, metric);
  return values.length === 0 ? null : median(values);
}

/** How far the rounds lie apart: half the distance of the extremes over the median. */
export function spreadOf(result: Result, scenario: string, proxy: string, metric: Metric): number {
  return spread(valuesOf(result, scenario, proxy, metric));
}

/** The metrics that a proxy has in a scenario. */
export function metricsOf(result: Result, scenario: string, proxy: string): readonly Metric[] {
  const samples = result.scenarios[scenario]?.samples[proxy] ?? [];
  return [...new Set(samples.flatMap((sample) => Object.keys(sample)))].filter(isMetric);
}

/** @throws where the file is not a result. */
export function readResult(path: string): Result {
  const result: Partial<Result> = JSON.parse(readFileSync(path, 'utf8'));
  if (result.format !== 1) throw new Error(`${path} is not a result of this benchmark`);
  return result as Result;
}

export function writeResult(path: string, result: Result): void {
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  writeFileSync(path, `${JSON.stringify(result, rounded, 1)}\n`);
}
