import { until } from './until.ts';

/** The metrics of an instance as Prometheus reads them: values by series. */
export async function scrape(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(url)).text();
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(series.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

/** Where the metrics are, according to the log: those of the newest program after an upgrade. */
export function metricsUrl(output: string): string {
  return [...output.matchAll(/metrics on (http:\/\/\S+)/g)].at(-1)?.[1] ?? '';
}

/** Waits until a series has the wanted value. */
export async function untilSeries(url: string, series: string, is: (value: number) => boolean): Promise<void> {
  await until(series, async () => is((await scrape(url)).get(series) ?? Number.NaN));
}
